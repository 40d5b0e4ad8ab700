"""What a module is given: its arguments, the mode it runs in, and a way to fail."""

import os


class Failure(Exception):  # noqa: N818  # how it ends, not what went wrong in it
    """The task failed: `msg` for the person, more fields of the result by keyword."""

    def __init__(self, msg, **result):
        Exception.__init__(self, msg)
        self.result = dict(result, msg=msg)


class Task:
    """One run of one module.

    args     every option of the SPEC by its main name, typed, defaults filled in, paths expanded
    check    True: say what would change, change nothing
    diff     True: the result should carry "diff"
    upload   a binary file open for reading, at its start: the content that came along (copy, script), or None
    """

    def __init__(self, args, check=False, diff=False, upload=None):
        self.args = args
        self.check = check
        self.diff = diff
        self.upload = upload
        self.warnings = []

    def warn(self, message):
        """Say something to the user; it does not change the result."""
        self.warnings.append(message)

    def fail(self, msg, **result):
        raise Failure(msg, **result)


def expand(path):
    """A path as an option: ~ and $VARIABLES of the user on the target."""
    return os.path.expanduser(os.path.expandvars(path))
