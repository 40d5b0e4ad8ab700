"""A block of lines in a text file, between two marker lines."""

import re

from shepherd.remote.textfile import TextFile, encoded, finish

SPEC = {
    "summary": "Insert, update or remove a text block surrounded by marker lines",
    "description": "Keeps a block of lines in a file. Marker lines around it tell where it is, so that it can be"
    " changed and removed later.",
    "include": ["file_attributes", "validate", "backup"],
    "options": {
        "path": {
            "type": "path",
            "required": True,
            "aliases": ["dest", "destfile", "name"],
            "help": "The file to edit.",
        },
        "block": {
            "type": "str",
            "default": "",
            "aliases": ["content"],
            "help": "The lines between the markers. None at all: the block is removed.",
        },
        "state": {
            "type": "str",
            "default": "present",
            "choices": ["absent", "present"],
            "help": "Whether the block shall be there.",
        },
        "marker": {
            "type": "str",
            "default": "# {mark} ANSIBLE MANAGED BLOCK",
            "help": "The marker lines; `{mark}` stands for `marker_begin` and `marker_end`. Each block of a file needs"
            " a marker of its own.",
        },
        "marker_begin": {"type": "str", "default": "BEGIN", "help": "What `{mark}` is in the line before the block."},
        "marker_end": {"type": "str", "default": "END", "help": "What `{mark}` is in the line after the block."},
        "insertafter": {
            "type": "str",
            "help": "Put a new block after the last match of this regular expression; `EOF`, the default: at the end."
            " With `(?m)` it is its first match in the whole text, else its last in a line.",
        },
        "insertbefore": {
            "type": "str",
            "help": "Put a new block before the last match of this regular expression; `BOF`: at the beginning.",
        },
        "create": {"type": "bool", "default": False, "help": "Make the file, and its directory, if missing."},
        "append_newline": {
            "type": "bool",
            "default": False,
            "help": "See to a blank line after the block, where that is not the end of the file.",
        },
        "prepend_newline": {
            "type": "bool",
            "default": False,
            "help": "See to a blank line before the block, where that is not the beginning of the file.",
        },
    },
    "constraints": {"mutually_exclusive": [["insertbefore", "insertafter"]]},
    "identity": ["path", "marker"],
    "absent": {"state": "absent"},
    "returns": {
        "msg": {"type": "str", "help": "What was done, if anything.", "sample": "Block inserted"},
        "backup_file": {"type": "str", "help": "The copy of the old file, if one was made."},
    },
    "check": "full",
    "diff": "full",
    "since": "0.1",
    "notes": [
        "A symbolic link stays one: the file that it points to is edited, owner and group are given to the link.",
        "Of several blocks with the same marker the last one is managed.",
    ],
    "examples": """
- name: Names for addresses
  blockinfile:
    path: /etc/hosts
    marker: "# {mark} cluster"
    block: |
      192.0.2.7 db
      192.0.2.8 web

- name: Only with a key
  blockinfile:
    path: /etc/ssh/sshd_config
    insertafter: EOF
    validate: /usr/sbin/sshd -t -f %s
    block: |
      Match User deploy
        PasswordAuthentication no
""",
}


def run(task):
    args = task.args
    file = TextFile(task, args["path"])
    file.require(args["create"], "Path %s does not exist !")
    block = _block(args)
    lines = file.data.splitlines(True)
    at = _take_out(args, lines)
    if at is None:
        at = _place(task, lines)
    _put_in(args, lines, at, block)
    data = b"".join(lines)
    if not file.exists:
        msg = "File created"
    elif data == file.data:
        msg = ""
    else:
        msg = "Block inserted" if block else "Block removed"
    result = finish(task, file, data, msg)
    if file.backup:
        result["backup_file"] = file.backup
    return result


def _markers(args):
    return [encoded(args["marker"].replace("{mark}", args[mark])) + b"\n" for mark in ("marker_begin", "marker_end")]


def _block(args):
    """The lines of the block with its markers; none where it shall not be."""
    if args["state"] == "absent" or not args["block"]:
        return []
    text = encoded(args["block"])
    begin, end = _markers(args)
    return [begin] + (text if text.endswith(b"\n") else text + b"\n").splitlines(True) + [end]


def _take_out(args, lines):
    """Remove the block from the lines. Returns where it was; None where it was not."""
    begin, end = _markers(args)
    first = last = None
    for number, line in enumerate(lines):
        if line == begin:
            first = number
        if line == end:
            last = number
    if first is None or last is None:
        return None
    first, last = min(first, last), max(first, last)
    del lines[first : last + 1]
    return first


def _place(task, lines):
    """The index at which a new block goes."""
    args = task.args
    option = "insertbefore" if args["insertbefore"] is not None else "insertafter"
    where = args[option]
    if option == "insertbefore" and where == "BOF":
        return 0
    if where is None or where in ("EOF", "BOF"):
        return len(lines)
    try:
        pattern = re.compile(encoded(where))
    except re.error as error:
        task.fail("%s is no regular expression: %s" % (option, error))
    at = None
    if pattern.flags & re.MULTILINE:
        text = b"".join(lines)
        match = pattern.search(text)
        if match:
            at = text.count(b"\n", 0, match.end() if option == "insertafter" else match.start())
    else:
        for number, line in enumerate(lines):
            if pattern.search(line):
                at = number
    if at is None:
        return len(lines)
    return min(at + (option == "insertafter"), len(lines))


def _put_in(args, lines, at, block):
    if at and not lines[at - 1].endswith(b"\n"):
        lines[at - 1] += b"\n"
    if block:
        if args["prepend_newline"] and at and lines[at - 1] != b"\n":
            block = [b"\n"] + block
        if args["append_newline"] and at < len(lines) and lines[at] != b"\n":
            block = block + [b"\n"]
    lines[at:at] = block
