"""A text file that a module edits: read as bytes, written back whole, and the result that says what happened."""

import os

from shepherd.remote import atomic, attributes, contents


class TextFile:
    """The file at `path` before and after an edit.

    data    its content, bytes; b"" where there is none
    exists  whether it is there
    """

    def __init__(self, task, path):
        self.task = task
        self.path = path
        self.backup = ""
        self.attributes_changed = False
        self._attributes = {}
        if os.path.isdir(path):
            task.fail("Path %s is a directory !" % path, rc=256)
        try:
            with open(path, "rb") as stream:
                self.data = stream.read()
            self.exists = True
        except FileNotFoundError:
            self.data = b""
            self.exists = False

    def require(self, create, message):
        """Fail with `message` where the file is missing and may not be made; make its directories where it may."""
        if self.exists:
            return
        if not create:
            self.task.fail(message % self.path, rc=257)
        directory = os.path.dirname(self.path)
        if directory and not os.path.exists(directory) and not self.task.check:
            try:
                os.makedirs(directory)
            except OSError as error:
                self.task.fail("Error creating %s (%s)" % (directory, error))

    def write(self, data, create=False):
        """Replace the content and set the attributes; in check mode only see what would change.

        `create`: also make an empty file. A symbolic link stays one: the file that it points to is written, while the
        attributes are given to the link.
        """
        task = self.task
        desired = attributes.wanted(task)
        linked = os.path.islink(self.path)
        write = data != self.data or (create and not self.exists)
        if write and task.check and not self.exists:
            return
        if write and not task.check:
            if task.args.get("backup"):
                self.backup = atomic.backup(task, self.path)
            with atomic.Draft(task, os.path.realpath(self.path) if linked else self.path) as draft:
                draft.write(data)
                self._validate(draft)
                self.attributes_changed = draft.commit({} if linked else desired, self._attributes)
            if not linked:
                return
        self.attributes_changed |= attributes.apply(task, self.path, desired, self._attributes)

    def _validate(self, draft):
        command = self.task.args.get("validate")
        if command:
            done = draft.validate(command)
            if done.status != 0:
                self.task.fail("failed to validate: rc:%s error:%s" % (done.status, done.stderr))

    def diff(self, after):
        """The diffs of content and attributes."""
        header = "%s (content)" % self.path
        content = {
            "before": self.data.decode("utf-8", "surrogateescape"),
            "after": after.decode("utf-8", "surrogateescape"),
            "before_header": header,
            "after_header": header,
        }
        if self.task.check and not self.exists:  # its attributes cannot be known yet
            return content
        return [content, contents.of_attributes(self.path, self._attributes)]


def encoded(text):
    """An option as bytes, as files hold them."""
    return text.encode("utf-8", "surrogateescape")


def finish(task, file, data, msg):
    """Write `data` where it differs and set the attributes. The result; `msg` says what happened, "" for nothing."""
    file.write(data, create=bool(msg))
    changed = bool(msg)
    if file.attributes_changed:
        changed = True
        more = "ownership, perms or SE linux context changed"
        msg = "%s and %s" % (msg, more) if msg else more
    result = {"changed": changed, "msg": msg}
    if task.diff:
        result["diff"] = file.diff(data)
    return result
