"""Where programs are, and running those of the system."""

import os

# a login by SSH often comes without these, and the programs that manage a system lie there
SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


def directories():
    path = [name for name in os.environ.get("PATH", os.defpath).split(os.pathsep) if name]
    return path + [name for name in SYSTEM if name not in path]


def find(name):
    """The path of a program, or None."""
    for directory in directories():
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def need(task, name):
    """The path of a program; the task fails where it is missing."""
    path = find(name)
    if path is None:
        message = 'Failed to find required executable "%s" in paths: %s'
        task.fail(message % (name, os.pathsep.join(directories())))
    return path


class Commands:
    """Commands that a module runs one after the other; keeps what they say, for the result."""

    def __init__(self, task, **failed):
        self.task = task
        self.failed = failed  # what a failure's result holds beside rc and msg
        self.out = ""
        self.err = ""

    def run(self, argv, stdin=None, accept=(0,)):
        """Run a program of the system; the task fails when it does not end with a status in `accept`."""
        from shepherd.remote import process

        path = need(self.task, argv[0])
        finished = process.run([path] + argv[1:], stdin=stdin, environment={"LC_ALL": "C.UTF-8", "LANGUAGE": None})
        self.out += finished.stdout
        self.err += finished.stderr
        if finished.status not in accept:
            message = finished.stderr or finished.stdout or "%s ended with status %d" % (argv[0], finished.status)
            self.task.fail(message, rc=finished.status, **self.failed)
        return finished

    def said(self):
        """stdout and stderr as fields of the result, where there are any."""
        return {name: text for name, text in (("stdout", self.out), ("stderr", self.err)) if text}
