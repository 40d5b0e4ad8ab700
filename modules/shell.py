"""Run a command line in a shell."""

from shepherd.remote import commands

SPEC = {
    "summary": "Run a command line in a shell",
    "description": "Hands the text to `/bin/sh -c`, with pipes, redirections, variables and everything else a shell"
    " knows. Where none of that is needed, `command` is safer.",
    "options": {
        "cmd": {"type": "str", "help": "The command line."},
        "chdir": {"type": "path", "help": "Run it in this directory."},
        "creates": {"type": "path", "help": "A path or glob pattern. Where it exists, the command does not run."},
        "removes": {
            "type": "path",
            "help": "A path or glob pattern. Where it does not exist, the command does not run.",
        },
        "executable": {"type": "path", "help": "The shell to use in place of `/bin/sh`, as an absolute path."},
        "stdin": {"type": "str", "help": "What the command reads on its standard input."},
        "stdin_add_newline": {"type": "bool", "default": True, "help": "End `stdin` with a newline."},
        "strip_empty_ends": {
            "type": "bool",
            "default": True,
            "help": "Cut empty lines from the end of stdout and stderr.",
        },
    },
    "free_form": "cmd",
    "returns": {
        "cmd": {"type": "str", "help": "The command line that ran.", "sample": "sort < names | uniq"},
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
        "Quote variables that you put into the text: `{{ name | quote }}`.",
    ],
    "examples": """
- name: Count the users
  shell: "cut -d: -f1 /etc/passwd | wc -l"

- name: Something only bash can
  shell: cat <(sort one) <(sort two) > both
  args:
    executable: /bin/bash
    chdir: /srv
    creates: both
""",
}


def run(task):
    text = task.args["cmd"]
    if not text or not text.strip():
        missing = {"rc": 256, "cmd": None, "stdout": "", "stderr": "", "start": None, "end": None, "delta": None}
        task.fail("no command given", **missing)
    return commands.run(task, [task.args["executable"] or "/bin/sh", "-c", text], text)
