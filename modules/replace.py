"""All matches of a pattern in a text file."""

import re

from shepherd.remote.textfile import TextFile, finish

SPEC = {
    "summary": "Replace all instances of a particular string in a file using a back-referenced regular expression",
    "description": "Replaces everything in a file that a regular expression finds. The expression should not find its"
    " own replacement, or every run changes the file again.",
    "include": ["file_attributes", "validate", "backup"],
    "options": {
        "path": {
            "type": "path",
            "required": True,
            "aliases": ["dest", "destfile", "name"],
            "help": "The file to edit.",
        },
        "regexp": {
            "type": "str",
            "required": True,
            "help": "The regular expression. `^` and `$` match at each line; `.` matches no newline.",
        },
        "replace": {
            "type": "str",
            "default": "",
            "help": "What to put there; `\\1` and `\\g<name>` stand for groups that were found.",
        },
        "after": {
            "type": "str",
            "help": "Only what comes after a match of this expression. Here `.` also matches newlines, `^` and `$` the"
            " ends of the file.",
        },
        "before": {"type": "str", "help": "Only what comes before a match of this expression, likewise."},
        "encoding": {"type": "str", "default": "utf-8", "help": "The file's encoding."},
    },
    "identity": ["path", "regexp"],
    "returns": {
        "msg": {"type": "str", "help": "How many were replaced.", "sample": "2 replacements made"},
        "rc": {"type": "int", "help": "Always 0.", "sample": 0},
        "backup_file": {"type": "str", "help": "The copy of the old file, if one was made."},
    },
    "check": "full",
    "diff": "full",
    "since": "0.1",
    "examples": """
- name: The new name everywhere
  replace:
    path: /etc/hosts
    regexp: '(\\s)old\\.example\\.org(\\s|$)'
    replace: '\\1new.example.org\\2'

- name: All lines of one section become comments
  replace:
    path: /etc/app.conf
    after: '\\[section\\]'
    before: '\\[next\\]'
    regexp: '^(.+)$'
    replace: '# \\1'
""",
}


def run(task):
    args = task.args
    file = TextFile(task, args["path"])
    file.require(False, "Path %s does not exist !")
    try:
        text = file.data.decode(args["encoding"], "surrogateescape")
        start, end = _section(args, text)
        if start is None:
            msg = "Pattern for before/after params did not match the given file: %s"
            return {"changed": False, "rc": 0, "msg": msg % _around(args)}
        section, count = re.compile(args["regexp"], re.MULTILINE).subn(args["replace"], text[start:end])
        after = text[:start] + section + text[end:]
        data = after.encode(args["encoding"], "surrogateescape")
    except (re.error, IndexError) as error:
        task.fail("Unable to process replace due to error: %s" % error)
    except (LookupError, UnicodeError) as error:
        task.fail("The file cannot be read and written as %s: %s" % (args["encoding"], error))
    result = finish(task, file, data, "%d replacements made" % count if data != file.data else "")
    result["rc"] = 0
    if file.backup:
        result["backup_file"] = file.backup
    if task.diff:
        del result["diff"]
        if data != file.data:
            path = args["path"]
            result["diff"] = {"before_header": path, "before": text, "after_header": path, "after": after}
    return result


def _around(args):
    """The expression that finds the part to work on, or "" for the whole."""
    if args["after"] and args["before"]:
        return "%s(?P<subsection>.*?)%s" % (args["after"], args["before"])
    if args["after"]:
        return "%s(?P<subsection>.*)" % args["after"]
    if args["before"]:
        return "(?P<subsection>.*)%s" % args["before"]
    return ""


def _section(args, text):
    """Where the part to work on begins and ends; (None, None) where it is not found."""
    around = _around(args)
    if not around:
        return 0, len(text)
    match = re.compile(around, re.DOTALL).search(text)
    return match.span("subsection") if match else (None, None)
