"""New content for a file, all of it or none: written beside it, made durable, renamed into its place.

A `Draft` is the file-to-be. Until `commit` the old file is untouched; a draft that is not committed is removed, also
when the task fails, the disk is full, or the task is ended (SIGTERM is an exception in a module's process). Where the
directory or the mount does not allow a rename, only `unsafe_writes` writes into the file itself.
"""

import errno
import os
import stat

from shepherd.remote import attributes, process

CHUNK = 1024 * 1024  # bytes held in memory while copying or digesting
SMALL = 4 * 1024 * 1024  # bytes; see _small_sha1
# rename(2) and open(2) errors that mean "not like this here", where writing into the file itself may still work
_IN_PLACE = (errno.EPERM, errno.EXDEV, errno.EACCES, errno.ETXTBSY, errno.EBUSY, errno.EROFS)


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def chunks(stream):
    """The rest of a binary stream, a piece at a time."""
    while True:
        data = stream.read(CHUNK)
        if not data:
            return
        yield data


def digest(path, algorithm="sha1"):
    """The hexadecimal digest of a file's content, read in pieces."""
    with open(path, "rb") as stream:
        small = algorithm == "sha1" and os.fstat(stream.fileno()).st_size < SMALL
        found = _small_sha1() if small else _new(algorithm)
        for data in chunks(stream):
            found.update(data)
    return found.hexdigest()


def _new(algorithm):
    import hashlib

    return hashlib.new(algorithm)


def _small_sha1():
    """SHA-1 without hashlib, which brings OpenSSL: 4 ms to import, made good by its speed from some megabytes on."""
    try:
        from _sha1 import sha1
    except ImportError:
        return _new("sha1")
    return sha1()


def temporary_directory():
    """The first place for temporary files that can be written; they are looked for as tempfile.gettempdir() does."""
    named = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
    for directory in named + ["/tmp", "/var/tmp", "/usr/tmp"]:
        if os.path.isdir(directory) and os.access(directory, os.W_OK | os.X_OK):
            return directory
    return os.getcwd()


class Draft:
    """The next content of `path`, for use in a `with`. A symbolic link at `path` is replaced, not followed."""

    def __init__(self, task, path):
        self.task = task
        self.path = path
        self.unsafe = bool(task.args.get("unsafe_writes"))
        self.temporary = None
        self._file = None

    def __enter__(self):
        try:
            self._open(os.path.dirname(self.path) or ".")
        except OSError as error:
            if not (self.unsafe and error.errno in _IN_PLACE):
                self._refuse(error)
            self._open(temporary_directory())
        return self

    def __exit__(self, kind, error, trace):
        self._file.close()
        if self.temporary is not None:
            try:
                os.unlink(self.temporary)
            except OSError:
                pass  # the reason why we are here matters more
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            self.task.fail("No space left to write %s; it was left as it was: %s" % (self.path, error))
        return False

    def _open(self, directory):
        name = os.path.join(directory, ".shepherd-%d-%s.tmp" % (os.getpid(), os.urandom(6).hex()))
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.temporary = name
        self._file = os.fdopen(handle, "w+b", 0)  # no buffer: closing it cannot fail for want of space

    def _refuse(self, error):
        directory = os.path.dirname(self.path) or "."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self.task.fail("No space left to write %s; it was left as it was: %s" % (self.path, error))
        self.task.fail(
            "The destination directory (%s) is not writable by the current user. Error was: %s" % (directory, error)
        )

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def copy(self, stream, *digests, size=None):
        """Take the rest of `stream`, or `size` bytes of it; each of `digests` (hashlib objects) sees them, too."""
        left = size
        while left is None or left > 0:
            data = stream.read(CHUNK if left is None else min(CHUNK, left))
            if not data:
                break
            self.write(data)
            for digest in digests:
                digest.update(data)
            if left is not None:
                left -= len(data)

    def validate(self, command):
        """Run `command`, its %s replaced by the draft's path. Returns status, stdout and stderr."""
        if "%s" not in command:
            self.task.fail("validate must contain %%s: %s" % command)
        import shlex

        argv = [word.replace("%s", self.temporary).replace("%%", "%") for word in shlex.split(command)]
        try:
            return process.run(argv, environment={"LANG": "C", "LC_ALL": "C"})
        except OSError as error:
            return process.Finished(error.errno, "", str(error))

    def commit(self, desired=None, diff=None, keep=True):
        """Put the draft in its place. True where the attributes changed from those of the file that was there.

        desired   attributes it is to have (see attributes.wanted), given before anybody can open it
        diff      filled in with their change
        keep      start with owner, mode, ACL and other extended attributes of the file that is there. Without it, or
                  where none is, it starts as open(2) would make it.
        """
        try:
            old = os.lstat(self.path) if keep else None
        except OSError:
            old = None
        if old is not None and stat.S_ISREG(old.st_mode):
            mode = self._inherit(self.path, old)
        else:
            mode = stat.S_IFREG | (0o666 & ~umask())
            if os.path.isdir(attributes.SELINUX):
                from shepherd.remote import selinux

                selinux.restore(self.temporary, self.path)
        desired = desired or {}
        changed = attributes.apply_to_draft(self.task, self.temporary, self.path, mode, desired, diff)
        if self._place():
            desired = {"attributes": desired["attributes"]} if "attributes" in desired else {}
        return attributes.apply(self.task, self.path, desired, diff) or changed

    def keep(self, path, old):
        """Put the draft in its place as a copy of the file at `path`, whose stat is `old`."""
        handle = self._file.fileno()
        os.fchmod(handle, self._inherit(path, old) & 0o1777)
        os.utime(handle, ns=(old.st_atime_ns, old.st_mtime_ns))
        self._place()

    def _inherit(self, path, old):
        """Take owner and extended attributes of the old file, as far as we may. Returns the mode to take."""
        handle = self._file.fileno()
        mode = old.st_mode
        mine = os.fstat(handle)
        if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
            try:
                os.fchown(handle, old.st_uid, old.st_gid)
            except PermissionError:
                mode &= ~(stat.S_ISUID | stat.S_ISGID)  # they were meant for another owner
        try:
            names = os.listxattr(path)
        except (OSError, AttributeError):  # a file system, or a platform, without them
            return mode
        for name in names:
            try:
                os.setxattr(handle, name, os.getxattr(path, name))
            except OSError:
                pass
        return mode

    def _place(self):
        """Rename it; False where that is not possible and the file was written in place instead."""
        os.fsync(self._file.fileno())
        try:
            os.rename(self.temporary, self.path)
        except OSError as error:
            if not (self.unsafe and error.errno in _IN_PLACE):
                self.task.fail("Could not replace file: %s: %s" % (self.path, error))
        else:
            self.temporary = None
            return True
        self._file.seek(0)
        with open(self.path, "wb") as stream:
            for data in chunks(self._file):
                stream.write(data)
        return False


def backup(task, path):
    """Copy the file beside itself, with its attributes (but no set-id bits) and times. Returns the copy's path; ""
    where no file is."""
    if not os.path.exists(path):
        return ""
    import time

    copy = "%s.%d.%s" % (path, os.getpid(), time.strftime("%Y-%m-%d@%H:%M:%S~"))
    try:
        with open(path, "rb") as stream, Draft(task, copy) as draft:
            draft.copy(stream)
            draft.keep(path, os.fstat(stream.fileno()))
    except OSError as error:
        task.fail("Could not make backup of %s to %s: %s" % (path, copy, error))
    return copy
