"""A new file or directory that nobody else has."""

import os

from shepherd.remote import atomic, attributes

SPEC = {
    "summary": "Create temporary files and directories",
    "description": "Makes an empty file or directory with a name of its own, open to its owner alone. Nothing removes"
    " it: do that with the file module.",
    "options": {
        "state": {
            "type": "str",
            "default": "file",
            "choices": ["directory", "file"],
            "help": "What to make.",
        },
        "path": {"type": "path", "help": "Where to make it. Default: the system's place for temporary files."},
        "prefix": {"type": "str", "default": "ansible.", "help": "How its name begins."},
        "suffix": {"type": "str", "default": "", "help": "How its name ends."},
    },
    "returns": {"path": {"type": "str", "help": "What was made.", "sample": "/tmp/ansible.bMlvdk"}},
    "check": "none",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: A place to build
  tempfile:
    state: directory
    suffix: .build
  register: place

- name: Gone again
  file:
    path: "{{ place.path }}"
    state: absent
""",
}

_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"
_TRIES = 100


def run(task):
    if task.check:
        return {"changed": False, "skipped": True, "msg": "remote module (tempfile) does not support check mode"}
    args = task.args
    directory = args["path"] or atomic.temporary_directory()
    for _ in range(_TRIES):
        name = "".join(chr(_LETTERS[byte % len(_LETTERS)]) for byte in os.urandom(8))
        path = os.path.abspath(os.path.join(directory, args["prefix"] + name + args["suffix"]))
        try:
            if args["state"] == "directory":
                os.mkdir(path, 0o700)
            else:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            task.fail(str(error))
        return dict(attributes.info(path), changed=True, path=path)
    return task.fail("no unused name was found in %s" % directory)
