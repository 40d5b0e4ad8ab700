"""Files into a root, by descriptor: what COPY and ADD do.

The destination is found as a process inside the root would find it. What is there already and is no folder is
replaced, and a link that is replaced is never written through.
"""

import errno
import os
import re
import stat

from shepherd.runtime.build.sources import READ, is_copied
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import trees
from shepherd.runtime.linux import paths

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)\Z")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": 0o4000, "g": 0o2000, "o": 0o1000}
_UMASK = 0o022


class Copier:
    """Copies below the descriptor `root`. `owner` is (uid, gid) for all, None leaves them as they are; `mode` is None
    or a function of (mode, whether it is a folder); `time` (nanoseconds) is that of folders made on the way."""

    def __init__(self, root, owner=None, mode=None, time=None):
        self._root = root
        self._owner = owner
        self._mode = mode
        self._time = time
        self._links = {}  # (device, inode) of a source → the path of its first copy

    def is_folder(self, path) -> bool:
        try:
            os.close(paths.open_inside(self._root, path, os.O_PATH | os.O_DIRECTORY))
            return True
        except OSError:
            return False

    def place(self, piece, destination, into) -> None:
        """Copy a source that was scanned to the path `destination`; a file goes into that folder if `into` says so."""
        if piece.is_folder:
            self._place_folder(piece, os.path.join(destination, piece.inner) if piece.inner else destination)
        elif piece.entries:
            name = piece.inner or piece.name
            if into or piece.inner or self.is_folder(destination):
                target = os.path.join(destination, name)
            else:
                target = self._real(destination)
            folder, _ = self.folder(os.path.dirname(target))
            source = piece.open() if stat.S_ISREG(piece.state.st_mode) else None
            try:
                above = os.path.dirname(target)
                self._put(piece.entries[0], None, source, folder, os.path.basename(target), above)
            finally:
                os.close(folder)
                if source is not None:
                    os.close(source)

    def _real(self, path):
        """Where the destination is: a link to what is there is followed, one to nothing is replaced."""
        try:
            found = paths.open_inside(self._root, path)
        except OSError:
            return path
        try:
            top = os.readlink(paths.shown(self._root)).rstrip("/")
            return os.readlink(paths.shown(found))[len(top) :] or "/"
        finally:
            os.close(found)

    def folder(self, path) -> tuple:
        """(descriptor, whether it is new) of the folder at `path`, made with those above it where it is missing."""
        path = os.path.normpath("/" + path.lstrip("/"))
        try:
            return self._readable(paths.open_inside(self._root, path, os.O_PATH | os.O_DIRECTORY)), False
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            raise RuntimeFailure("%s is no folder, and cannot be copied into" % path)
        above, name = os.path.split(path)
        parent, _ = self.folder(above)
        try:
            try:
                os.mkdir(name, 0o755, dir_fd=parent)
            except FileExistsError:  # a link to what is missing
                return self._readable(paths.make_folder(self._root, path)), False
            found = trees.open_folder(name, parent)
        finally:
            os.close(parent)
        os.fchown(found, *(self._owner or (0, 0)))
        os.fchmod(found, 0o755)
        if self._time is not None:
            os.utime(found, ns=(self._time, self._time))
        return found, True

    @staticmethod
    def _readable(found):
        try:
            return os.open(paths.shown(found), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finally:
            os.close(found)

    def _place_folder(self, piece, path):
        source = piece.open()
        folder, new = self.folder(path)
        try:
            self._copy_entries(piece, source, folder, os.path.normpath("/" + path.lstrip("/")))
            if new or (self._mode is not None and piece.inner):
                self._take_attributes(source, folder, os.fstat(source))
        finally:
            os.close(folder)
            os.close(source)

    def _copy_entries(self, piece, source, target, path):
        """`stack` has, for each folder on the way, (source, target, its path, the entry that it is)."""
        stack = [(source, target, path, None)]
        try:
            for entry in piece.entries:
                while len(stack) > entry.depth:
                    self._leave(stack.pop())
                source, target, path, _ = stack[-1]
                if stat.S_ISDIR(entry.state.st_mode):
                    below = trees.open_folder(entry.name, source)
                    try:
                        inner = self._enter(entry.name, target, path)
                    except BaseException:
                        os.close(below)
                        raise
                    stack.append((below, inner, os.path.join(path, entry.name), entry))
                else:
                    self._put(entry, source, None, target, entry.name, path)
            while len(stack) > 1:
                self._leave(stack.pop())
        finally:
            for below, inner, _, _ in stack[1:]:
                os.close(below)
                os.close(inner)

    def _enter(self, name, target, path):
        try:
            os.mkdir(name, 0o700, dir_fd=target)
        except FileExistsError:
            mode = os.stat(name, dir_fd=target, follow_symlinks=False).st_mode
            if stat.S_ISLNK(
                mode
            ):  # as /lib is one to usr/lib: what is in the folder goes where a process would find it
                try:
                    where = os.path.join(path, name)
                    return self._readable(paths.open_inside(self._root, where, os.O_PATH | os.O_DIRECTORY))
                except OSError:
                    mode = 0
            if not stat.S_ISDIR(mode):
                raise RuntimeFailure("%s is no folder, and a folder cannot replace it" % os.path.join(path, name))
        return trees.open_folder(name, target)

    def _leave(self, level):
        source, target, _, entry = level
        try:
            self._take_attributes(source, target, entry.state)
        finally:
            os.close(source)
            os.close(target)

    def _put(self, entry, source, opened, target, name, path):
        """One that is no folder: from the folder `source`, or from the file that is `opened`."""
        state, place = entry.state, os.path.join(path, name)
        self._clear(name, target, place)
        if state.st_nlink > 1:
            first = self._links.get((state.st_dev, state.st_ino))
            if first is not None and self._link(first, name, target):
                return
            self._links[state.st_dev, state.st_ino] = place
        kind = stat.S_IFMT(state.st_mode)
        if kind == stat.S_IFREG:
            if opened is None:
                opened = os.open(entry.name, READ, dir_fd=source)
                try:
                    self._put_file(entry, opened, target, name)
                finally:
                    os.close(opened)
            else:
                self._put_file(entry, opened, target, name)
            return
        if kind == stat.S_IFLNK:
            os.symlink(entry.link, name, dir_fd=target)
        else:
            os.mknod(name, kind | 0o600, state.st_rdev, dir_fd=target)
        os.chown(name, *self._owner_of(state), dir_fd=target, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            node = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=target)
            try:
                os.chmod(paths.shown(node), self._mode_of(state))
            finally:
                os.close(node)
        os.utime(name, ns=(state.st_mtime_ns, state.st_mtime_ns), dir_fd=target, follow_symlinks=False)

    def _put_file(self, entry, source, target, name):
        state = os.fstat(source)
        if _signature(state) != _signature(entry.state):
            raise RuntimeFailure("%s was changed while it was copied" % (entry.path or entry.name), "build again")
        file = os.open(name, _NEW, 0o600, dir_fd=target)
        try:
            left = state.st_size
            while left:
                done = os.sendfile(file, source, None, min(left, 1 << 30))
                if not done:
                    break
                left -= done
            if _signature(os.fstat(source)) != _signature(entry.state):
                raise RuntimeFailure("%s was changed while it was copied" % (entry.path or entry.name), "build again")
            self._take_attributes(source, file, state)
        finally:
            os.close(file)

    def _link(self, first, name, target):
        """A second name of what was copied before, if that is still there."""
        try:
            found = paths.open_inside(self._root, first, os.O_PATH | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            os.link(paths.shown(found), name, dst_dir_fd=target, follow_symlinks=True)
            return True
        except OSError:
            return False
        finally:
            os.close(found)

    @staticmethod
    def _clear(name, target, place):
        try:
            os.unlink(name, dir_fd=target)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EPERM):
                raise
            raise RuntimeFailure("%s is a folder, and a file cannot replace it" % place)

    def _owner_of(self, state):
        return self._owner or (state.st_uid, state.st_gid)

    def _mode_of(self, state):
        mode = stat.S_IMODE(state.st_mode)
        return mode if self._mode is None else self._mode(mode, stat.S_ISDIR(state.st_mode))

    def _take_attributes(self, source, target, state):
        os.fchown(target, *self._owner_of(state))
        os.fchmod(target, self._mode_of(state))  # after the owner, whose change takes setuid away
        try:
            for key in os.listxattr(source):
                if is_copied(key):
                    os.setxattr(target, key, os.getxattr(source, key))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
        os.utime(target, ns=(state.st_mtime_ns, state.st_mtime_ns))


def _signature(state):
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


# Modes


def mode_function(text):
    """What --chmod says as a function of (mode, whether it is a folder)."""
    if text.isdigit():
        number = int(text, 8)
        return lambda _mode, _folder: number
    return symbolic(text)


def symbolic(text):
    """The same for a symbolic mode (chmod(1)); None where it is none."""
    clauses = []
    for part in text.split(","):
        match = _CLAUSE.match(part)
        if match is None:
            return None
        clauses.append((match.group(1), _ACTION.findall(match.group(2))))

    def change(mode, folder):
        for who, actions in clauses:
            for sign, what in actions:
                mode = _act(mode, folder, who, sign, what)
        return mode

    return change


def _act(mode, folder, who, sign, what):
    whose = "ugo" if not who or "a" in who else who
    allowed = ~_UMASK if not who else ~0
    if what in _SHIFTS:
        bits = mode >> _SHIFTS[what] & 7
    else:
        bits = sum(value for letter, value in (("r", 4), ("w", 2), ("x", 1)) if letter in what)
        if "X" in what and (folder or mode & 0o111):
            bits |= 1
    changed = reach = 0
    for one in whose:
        changed |= bits << _SHIFTS[one]
        reach |= 7 << _SHIFTS[one] | _SPECIAL[one]
    if what not in _SHIFTS:
        special = (0o6000 if "s" in what else 0) | (0o1000 if "t" in what else 0)
        changed |= special & reach
    changed &= allowed
    if sign == "+":
        return mode | changed
    if sign == "-":
        return mode & ~changed
    return (mode & ~reach) | changed
