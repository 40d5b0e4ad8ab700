"""Run a command line without Python on the host. Its SPEC; the controller does it (shepherd/actions/raw.py)."""

SPEC = {
    "summary": "Run a command line where there is no Python yet",
    "description": "Hands the text to the login shell of the remote user, over SSH and nothing else: it can install the"
    " Python that all other modules need. Everywhere else use `shell` or `command`.",
    "runs_on": "controller",
    "free_form": "cmd",
    "options": {
        "cmd": {"type": "str", "required": True, "aliases": ["free_form"], "help": "The command line."},
        "executable": {"type": "str", "help": "A shell to hand it to, as an absolute path."},
    },
    "returns": {
        "rc": {"type": "int", "help": "Its exit status."},
        "stdout": {"type": "str", "help": "What it wrote to its standard output."},
        "stderr": {"type": "str", "help": "What it wrote to its standard error."},
    },
    "check": "none",
    "diff": "none",
    "platforms": ["posix"],
    "since": "0.1",
    "notes": ["The play should say `gather_facts: false`, for gathering needs Python."],
    "examples": """
- name: A machine fresh from its image
  raw: test -e /usr/bin/python3 || (apt-get update && apt-get install -y python3-minimal)
  changed_when: false
""",
}
