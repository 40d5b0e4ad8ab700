"""A file's content, in the answer."""

import base64
import errno

SPEC = {
    "summary": "Read a file from a host",
    "description": "Answers the content of a file, encoded in base64. It is held in memory on both ends: use fetch for"
    " large files.",
    "options": {
        "src": {"type": "path", "required": True, "aliases": ["path"], "help": "The file. It must not be a directory."},
    },
    "returns": {
        "content": {"type": "str", "help": "The content in base64.", "sample": "MjE3OQo="},
        "source": {"type": "str", "help": "The file.", "sample": "/run/sshd.pid"},
        "encoding": {"type": "str", "help": "Always base64.", "sample": "base64"},
    },
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: What is mounted?
  slurp:
    src: /proc/mounts
  register: mounts

- debug:
    msg: "{{ mounts.content | b64decode }}"
""",
}

_REASONS = {
    errno.ENOENT: "file not found: %s",
    errno.EACCES: "file is not readable: %s",
    errno.EISDIR: "source is a directory and must be a file: %s",
}


def run(task):
    source = task.args["src"]
    try:
        with open(source, "rb") as stream:
            data = stream.read()
    except OSError as error:
        task.fail(_REASONS.get(error.errno, "unable to slurp file: %s") % source)
    return {
        "changed": False,
        "content": base64.b64encode(data).decode("ascii"),
        "source": source,
        "encoding": "base64",
    }
