"""One line of a text file."""

import re

from shepherd.remote.textfile import TextFile, encoded, finish

SPEC = {
    "summary": "Manage lines in text files",
    "description": "Sees to it that a line is in a file, replaces the line that a pattern finds, or removes lines. For"
    " several lines use blockinfile, for all matches replace, for a whole file copy or template.",
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
            "aliases": ["regex"],
            "help": "A regular expression. `present`: the last line where it is found is replaced; without one the"
            " line is added. `absent`: the lines to remove.",
        },
        "search_string": {
            "type": "str",
            "help": "The same as a literal text that is looked for anywhere in a line.",
        },
        "line": {
            "type": "str",
            "aliases": ["value"],
            "help": "The line. Needed for `present`; with `absent` and no pattern, the line to remove.",
        },
        "state": {
            "type": "str",
            "default": "present",
            "choices": ["absent", "present"],
            "help": "Whether the line shall be there.",
        },
        "backrefs": {
            "type": "bool",
            "default": False,
            "help": "`line` may use the groups that `regexp` found (`\\1`, `\\g<name>`). Where it is not found, the"
            " file is left alone.",
        },
        "insertafter": {
            "type": "str",
            "help": "Add the line after the last line where this regular expression is found; `EOF`, the default: at"
            " the end.",
        },
        "insertbefore": {
            "type": "str",
            "help": "Add the line before the last line where this regular expression is found; `BOF`: at the start.",
        },
        "firstmatch": {"type": "bool", "default": False, "help": "Take the first line that is found, not the last."},
        "create": {"type": "bool", "default": False, "help": "Make the file, and its directory, if missing."},
    },
    "constraints": {
        "mutually_exclusive": [
            ["insertbefore", "insertafter"],
            ["regexp", "search_string"],
            ["backrefs", "search_string"],
        ],
    },
    "identity": ["path", "line"],
    "absent": {"state": "absent"},
    "returns": {
        "msg": {"type": "str", "help": "What was done, if anything.", "sample": "line added"},
        "found": {"type": "int", "help": "How many lines were removed, with `absent`.", "sample": 1},
        "backup": {"type": "str", "help": "The copy of the old file, if one was made.", "sample": ""},
    },
    "check": "full",
    "diff": "full",
    "since": "0.1",
    "notes": [
        "A symbolic link stays one: the file that it points to is edited, owner and group are given to the link.",
        "With `firstmatch`, a line further down than the first match of `insertafter` does not count as there.",
    ],
    "examples": """
- name: No root logins with a password
  lineinfile:
    path: /etc/ssh/sshd_config
    regexp: '^#?PermitRootLogin'
    line: PermitRootLogin prohibit-password
    validate: /usr/sbin/sshd -t -f %s

- name: A name for an address
  lineinfile:
    path: /etc/hosts
    line: 192.0.2.7 db
    insertafter: '^127\\.'

- name: More memory, whatever it was
  lineinfile:
    path: /etc/app.conf
    regexp: '^(.*)Xms(\\d+)m(.*)$'
    line: '\\1Xms512m\\3'
    backrefs: true
""",
}

_EMPTY = "This may have unintended consequences, such as replacing the last line in the file rather than appending."
_EMPTY_REGEXP = (
    "The regular expression is an empty string, which will match every line in the file. "
    + _EMPTY
    + " If this is desired, use '^' to match every line in the file and avoid this warning."
)
_EMPTY_SEARCH = "The search string is an empty string, which will match every line in the file. " + _EMPTY


def run(task):
    args = task.args
    if args["regexp"] == "":
        task.warn(_EMPTY_REGEXP)
    if args["search_string"] == "":
        task.warn(_EMPTY_SEARCH)
    return (_present if args["state"] == "present" else _absent)(task)


def _compiled(task, option):
    try:
        return re.compile(encoded(task.args[option]))
    except re.error as error:
        return task.fail("%s is no regular expression: %s" % (option, error))


def _finder(task):
    """A function that says whether a line (bytes) is the one meant: a match, True or None. None without a pattern."""
    if task.args["regexp"] is not None:
        return _compiled(task, "regexp").search
    if task.args["search_string"] is not None:
        text = encoded(task.args["search_string"])
        return lambda line: True if text in line else None
    return None


def _present(task):
    args = task.args
    if args["backrefs"] and args["regexp"] is None:
        task.fail("regexp is required with backrefs=true")
    if args["line"] is None:
        task.fail("line is required with state=present")
    file = TextFile(task, args["path"])
    file.require(args["create"], "Destination %s does not exist !")
    lines = _split(file.data)
    msg = _edit(task, lines)
    return _finished(task, file, lines, msg)


def _split(data):
    """The lines of a file with their ends; only a newline ends a line."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _edit(task, lines):
    """Change the list of lines. Returns what was done, or ""."""
    args = task.args
    line = encoded(args["line"])
    at, match = _matching(task, lines)
    place = None
    if at is None:
        at, place = _same_or_place(task, lines, line)
    if at is not None:
        if args["backrefs"] and match is not None:
            line = match.expand(line)
        if not line.endswith(b"\n"):
            line += b"\n"
        if lines[at] == line:
            return ""
        lines[at] = line
        return "line replaced"
    if args["backrefs"]:
        return ""
    if place is None:
        place = 0 if "BOF" in (args["insertbefore"], args["insertafter"]) else len(lines)
    elif place < len(lines) and lines[place].rstrip(b"\r\n") == line:
        return ""
    if place == len(lines) and lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    lines.insert(place, line + b"\n")
    return "line added"


def _matching(task, lines):
    """The index of the line that the pattern finds, and the match; (None, None) without one."""
    at = match = None
    finder = _finder(task)
    if finder is not None:
        for number, text in enumerate(lines):
            found = finder(text)
            if found is not None:
                at, match = number, found
                if task.args["firstmatch"]:
                    break
    return at, match


def _same_or_place(task, lines, line):
    """The index of the last line that is the line itself, and the index where insertafter or insertbefore want it.

    Either may be None. `firstmatch` ends the search at the first place for it: a line further down does not count.
    """
    args = task.args
    option = "insertbefore" if args["insertbefore"] else "insertafter"
    pattern = _compiled(task, option) if args[option] not in (None, "", "BOF", "EOF") else None
    same = place = None
    for number, text in enumerate(lines):
        if text.rstrip(b"\r\n") == line:
            same = number
        elif pattern is not None and pattern.search(text):
            place = number + (option == "insertafter")
            if args["firstmatch"]:
                break
    return same, place


def _absent(task):
    args = task.args
    if args["regexp"] is None and args["search_string"] is None and args["line"] is None:
        task.fail("one of line, search_string, or regexp is required with state=absent")
    file = TextFile(task, args["path"])
    if not file.exists:
        return {"changed": False, "msg": "file not present"}
    finder = _finder(task)
    if finder is None:
        line = encoded(args["line"])
        finder = lambda text: True if text.rstrip(b"\r\n") == line else None  # noqa: E731  # a third kind of finder
    lines = _split(file.data)
    kept = [text for text in lines if finder(text) is None]
    found = len(lines) - len(kept)
    result = _finished(task, file, kept, "%d line(s) removed" % found if found else "")
    result["found"] = found
    return result


def _finished(task, file, lines, msg):
    result = finish(task, file, b"".join(lines), msg)
    result["backup"] = file.backup
    return result
