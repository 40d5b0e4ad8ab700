"""A whole directory brought to its place: what differs, and how it is made the same.

The directory is a list of entries, upper ones before those inside, none for the top itself:

    [relative path, kind, mode, sha1, size, target]

kind is "dir", "file" or "link"; mode is an int or None; sha1 (hexadecimal) and size (bytes) are a file's, target is a
link's; None elsewhere. What else is at the destination stays there.
"""

import os
import stat
from collections import namedtuple

from shepherd.remote import atomic, attributes

Entry = namedtuple("Entry", "name kind mode sha1 size target")


def scan(top, follow):
    """The entries of a directory. Links are entries of their own, or with `follow` what they point to."""
    entries = []
    above = {os.path.realpath(top)}

    def enter(directory, prefix):
        for name in sorted(os.listdir(directory)):
            path = os.path.join(directory, name)
            inner = prefix + name
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not follow or not os.path.exists(path):
                    entries.append(Entry(inner, "link", None, None, None, os.readlink(path)))
                    continue
                found = os.stat(path)
            mode = stat.S_IMODE(found.st_mode)
            if stat.S_ISDIR(found.st_mode):
                real = os.path.realpath(path)
                if real in above:  # a link to a directory that it is in
                    continue
                entries.append(Entry(inner, "dir", mode, None, None, None))
                above.add(real)
                enter(path, inner + "/")
                above.discard(real)
            elif stat.S_ISREG(found.st_mode):
                entries.append(Entry(inner, "file", mode, atomic.digest(path), found.st_size, None))

    enter(top, "")
    return entries


class Tree:
    def __init__(self, task, dest, entries, desired, write):
        """
        desired(entry, made)   the attributes that a file, link or directory is to have; `made`: it is being written
        write(entry, draft)    writes a file's content, in the order of the entries; returns its sha1
        """
        self.task = task
        self.dest = dest
        self.entries = [Entry(*entry) for entry in entries]
        self.desired = desired
        self.write = write
        self.changed = False
        self.before = {}
        self.after = {}
        for entry in self.entries:
            if {"", ".", ".."} & set(entry.name.split("/")):
                task.fail("%r is no path inside a directory" % entry.name)

    def differing(self):
        """The names of the files that are missing or have another content, in the order of the entries."""
        return [entry.name for entry in self.entries if entry.kind == "file" and self._differs(entry)]

    def _path(self, entry):
        """Where an entry goes. Links to directories on the way are followed, as are others where `follow` says so."""
        path = os.path.join(self.dest, entry.name)
        if entry.kind == "file" and self.task.args["follow"] and os.path.exists(path):
            return os.path.realpath(path)
        return path

    def _differs(self, entry):
        path = self._path(entry)
        try:
            found = os.lstat(path)
        except OSError:
            return True
        if os.path.isdir(path):
            self.task.fail("can not overwrite directory %s with a file" % path, path=path)
        if not self.task.args["force"]:
            return False
        return not stat.S_ISREG(found.st_mode) or found.st_size != entry.size or atomic.digest(path) != entry.sha1

    def bring(self, differing):
        """Make it so, as far as it is not check mode. `differing` are the files that `write` has content for."""
        differing = set(differing)
        for entry in self.entries:
            path = self._path(entry)
            is_new = not os.path.lexists(path)
            if entry.kind == "dir":
                self._directory(entry, path, is_new)
            elif entry.kind == "link":
                self._link(entry, path, is_new)
            elif entry.name in differing:
                self._file(entry, path, is_new)
            elif self.task.args["force"]:
                self._attributes(entry, path, is_new)

    def _directory(self, entry, path, is_new):
        if is_new:
            self._note(entry, "absent", "directory")
            if not self.task.check:
                os.mkdir(path)
        elif not os.path.isdir(path):
            self.task.fail("%s already exists as a %s" % (path, attributes.kind(os.lstat(path))), path=path)
        self._attributes(entry, os.path.realpath(path), is_new)

    def _link(self, entry, path, is_new):
        old = os.readlink(path) if os.path.islink(path) else None
        if old != entry.target:
            self._note(entry, "absent" if is_new else attributes.kind(os.lstat(path)), "link to %s" % entry.target)
            if not self.task.check:
                replace_with_link(entry.target, path)
        self._attributes(entry, path, is_new)

    def _file(self, entry, path, is_new):
        self._note(entry, "absent" if is_new else "another content", "sha1 %s" % entry.sha1)
        if self.task.check:
            return
        if self.task.args["backup"]:
            atomic.backup(self.task, path)
        with atomic.Draft(self.task, path) as draft:
            sha1 = self.write(entry, draft)
            if sha1 != entry.sha1:
                self.task.fail("Copied file does not match the expected checksum. Transfer failed.", path=path)
            validate(self.task, draft)
            draft.commit(self.desired(entry, True))

    def _attributes(self, entry, path, is_new):
        diff = {}
        if attributes.apply(self.task, path, self.desired(entry, is_new), diff):
            self.changed = True
            if diff:
                self._note(entry, diff["before"], diff["after"])

    def _note(self, entry, before, after):
        self.changed = True
        if self.task.diff and entry.name not in self.before:
            self.before[entry.name] = before
            self.after[entry.name] = after


def replace_with_link(target, path):
    """A symbolic link at `path`, in one step where a file or link was; a directory must be empty."""
    beside = os.path.join(os.path.dirname(path), ".shepherd-%d-%s.tmp" % (os.getpid(), os.urandom(6).hex()))
    os.symlink(target, beside)
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        os.rename(beside, path)
    except OSError:
        os.unlink(beside)
        raise


def validate(task, draft):
    """Let the task's `validate` command judge a draft; fails the task where it says no."""
    if task.args.get("validate"):
        done = draft.validate(task.args["validate"])
        if done.status != 0:
            task.fail("failed to validate", exit_status=done.status, stdout=done.stdout, stderr=done.stderr)
