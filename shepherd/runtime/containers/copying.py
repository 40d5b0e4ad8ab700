"""Files into and out of a container, which may be running and may change what is being copied.

Both trees are walked by file descriptor. Where the way goes through the container's links it is the container's root
that they lead from (linux/paths.py); below the place that was named no link is followed, on either side.
"""

import errno
import os
import stat

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import attributes, paths

_DEEPEST = 512
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Place:
    """Something named on one side: the folder it is in (a descriptor) and its name there; `root` None: this machine."""

    def __init__(self, path: str, root=None):
        self.path = path
        self.root = root
        self.contents = path.endswith("/.") or path == "."
        self.must_be_folder = path.endswith("/") or self.contents

    def open(self, path, flags=os.O_PATH):
        """A path on this side, its links followed."""
        if self.root is None:
            return os.open(path, flags | os.O_CLOEXEC)
        return paths.open_inside(self.root, "/" + path, flags)

    def is_folder(self) -> bool:
        """Whether it is one, or a link to one."""
        try:
            found = self.open(self.path)
        except OSError:
            return False
        try:
            return stat.S_ISDIR(os.fstat(found).st_mode)
        finally:
            os.close(found)

    def parent(self):
        """(descriptor of the folder above, name)."""
        path = os.path.normpath(self.path if self.root is None else "/" + self.path)
        above, name = os.path.split(path)
        return self.open(above or ".", os.O_RDONLY | os.O_DIRECTORY), name


def copy(source: Place, target: Place, owners: bool, follow: bool = False) -> None:
    """As `docker cp`: into the target where that is a folder, else under its name. Raises RuntimeFailure.

    `owners`: keep them (-a); `follow`: copy what a link leads to (-L).
    """
    try:
        folder, name = _source(source, follow)
        try:
            _copy_named(source, target, folder, name, owners)
        finally:
            os.close(folder)
    except OSError as error:
        raise RuntimeFailure("cannot copy %s to %s: %s" % (source.path, target.path, error.strerror)) from None


def _copy_named(source, target, folder, name, owners):
    is_folder = stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    if source.must_be_folder and not is_folder:
        raise RuntimeFailure("cannot copy %s: it is no folder" % source.path)
    exists = target.is_folder()
    if exists:
        into, called = target.open(target.path, os.O_RDONLY | os.O_DIRECTORY), name
    elif target.must_be_folder and not is_folder:
        raise RuntimeFailure("there is no folder %s to copy into" % target.path)
    else:
        into, called = target.parent()
    try:
        if exists and is_folder and (source.contents or name in (".", "")):
            inner = os.open(name or ".", _FOLDER, dir_fd=folder)
            try:
                _fill(inner, into, owners, 0)
            finally:
                os.close(inner)
        else:
            _copy(folder, name, into, called, owners, 0)
    finally:
        os.close(into)


def _source(source, follow):
    """(descriptor of the folder it is in, its name there); a link at its end is followed on its own side."""
    if source.root is None and (follow or source.must_be_folder):
        return Place(os.path.realpath(source.path)).parent()
    if source.root is not None and (follow or source.must_be_folder):
        return Place(_real(source), source.root).parent()
    return source.parent()


def _real(place):
    """The path in a container of what a path there leads to, one link after the other."""
    path = os.path.normpath("/" + place.path)
    for _link in range(40):
        above, name = os.path.split(path)
        folder = place.open(above, os.O_RDONLY | os.O_DIRECTORY)
        try:
            target = os.readlink(name, dir_fd=folder) if name else None
        except OSError:
            target = None
        finally:
            os.close(folder)
        if target is None:
            return path
        path = os.path.normpath(os.path.join(above, target))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _copy(folder, name, into, called, owners, depth):
    """One entry, by its name in the folder of one descriptor, to a name in the folder of another."""
    if depth > _DEEPEST:
        raise RuntimeFailure("more than %d folders in one another" % _DEEPEST)
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        inner = os.open(name, _FOLDER, dir_fd=folder)
        try:
            try:
                os.mkdir(called, 0o700, dir_fd=into)
            except FileExistsError:
                pass
            below = os.open(called, _FOLDER, dir_fd=into)  # fails where it is no folder, or a link
            try:
                _fill(inner, below, owners, depth + 1)
                _finish(inner, below, os.fstat(inner), owners)
            finally:
                os.close(below)
        finally:
            os.close(inner)
        return
    _make_room(into, called)
    if kind == stat.S_IFREG:
        source = os.open(name, _FILE, dir_fd=folder)
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EAGAIN, "it was changed while it was copied")
            made = os.open(
                called, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=into
            )
            try:
                while os.sendfile(made, source, None, 1 << 30):
                    pass
                _finish(source, made, found, owners)
            finally:
                os.close(made)
        finally:
            os.close(source)
    elif kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=folder), called, dir_fd=into)
        if owners:
            os.chown(called, found.st_uid, found.st_gid, dir_fd=into, follow_symlinks=False)
    elif kind == stat.S_IFIFO:
        os.mkfifo(called, stat.S_IMODE(found.st_mode), dir_fd=into)
    # devices and sockets mean nothing on the other side


def _fill(folder, into, owners, depth):
    for name in os.listdir(folder):
        try:
            _copy(folder, name, into, name, owners, depth)
        except FileNotFoundError:
            continue  # taken away meanwhile


def _make_room(into, called):
    try:
        os.unlink(called, dir_fd=into)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        raise OSError(errno.EISDIR, "there is a folder of the name %s" % called) from None


def _finish(source, descriptor, found, owners):
    """Mode, attributes and times; no setuid, setgid or capable program comes to the machine with another owner."""
    if owners:
        os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & (0o7777 if owners else 0o1777))
    attributes.copy(source, descriptor, owners)
    os.utime(descriptor, ns=(found.st_atime_ns, found.st_mtime_ns))
