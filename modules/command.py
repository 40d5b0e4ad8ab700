"""Run a program, without a shell."""

import os

from shepherd.remote import commands

SPEC = {
    "summary": "Run a command",
    "description": "Runs a program with its arguments. No shell is involved: variables of the environment and `~` are"
    " expanded in the arguments, but `<`, `>`, `|`, `;`, `&` and `*` mean nothing special. Use `shell` for those.",
    "options": {
        "cmd": {"type": "str", "help": "The command and its arguments, split as a shell would split the words."},
        "argv": {
            "type": "list",
            "elements": "str",
            "help": "The command as a list, in place of `cmd`; nothing is split.",
        },
        "chdir": {"type": "path", "help": "Run it in this directory."},
        "creates": {"type": "path", "help": "A path or glob pattern. Where it exists, the command does not run."},
        "removes": {
            "type": "path",
            "help": "A path or glob pattern. Where it does not exist, the command does not run.",
        },
        "stdin": {"type": "str", "help": "What the command reads on its standard input."},
        "stdin_add_newline": {"type": "bool", "default": True, "help": "End `stdin` with a newline."},
        "strip_empty_ends": {
            "type": "bool",
            "default": True,
            "help": "Cut empty lines from the end of stdout and stderr.",
        },
        "expand_argument_vars": {
            "type": "bool",
            "default": True,
            "help": "Expand `$VARIABLE` and `~` in the arguments. When off, they are passed as they are.",
        },
        "executable": {"type": "path", "help": "Has no meaning here; `shell` has it. A warning says so."},
    },
    "free_form": "cmd",
    "returns": {
        "cmd": {"type": "list", "help": "The command that ran.", "sample": ["uptime", "-p"]},
        "rc": {"type": "int", "help": "Its exit status, 0 for success; negative: the signal that ended it."},
        "stdout": {"type": "str", "help": "What it wrote to its standard output."},
        "stderr": {"type": "str", "help": "What it wrote to its standard error."},
        "start": {"type": "str", "help": "When it started.", "sample": "2026-01-31 08:00:00.123456"},
        "end": {"type": "str", "help": "When it ended."},
        "delta": {"type": "str", "help": "How long it ran.", "sample": "0:00:00.325771"},
        "msg": {"type": "str", "help": "Why it did not run, or that it failed."},
    },
    "check": "partial",
    "diff": "none",
    "platforms": ["posix"],
    "since": "0.1",
    "notes": [
        "In check mode the command does not run. With `creates` or `removes` the result says whether it would; without"
        " them the task counts as skipped.",
    ],
    "examples": """
- name: Make the database once
  command: /usr/bin/make_database.sh db_user db_name
  args:
    creates: /path/to/database

- name: An argument with blanks
  command:
    argv: [/usr/bin/mkdir, -p, "/srv/with blanks"]
    creates: /srv/with blanks
""",
}


def run(task):
    args = task.args
    if args["executable"]:
        task.warn(
            "As of Ansible 2.4, the parameter 'executable' is no longer supported with the 'command' module."
            " Not using '%s'." % args["executable"]
        )
    command = _words(task)
    expanded = command
    if args["expand_argument_vars"]:
        expanded = [os.path.expanduser(os.path.expandvars(word)) for word in command]
    return commands.run(task, expanded, command)


def _words(task):
    text, words = task.args["cmd"], task.args["argv"]
    missing = {"rc": 256, "cmd": None, "stdout": "", "stderr": "", "start": None, "end": None, "delta": None}
    if text and words:
        task.fail("only command or argv can be given, not both", **missing)
    if not words:
        try:
            words = commands.words(text or "")
        except ValueError as error:
            task.fail("cannot split the command into words: %s: %s" % (error, text), **missing)
    if not words:
        task.fail("no command given", **missing)
    return words
