"""Paths inside a folder that somebody else fills: resolved as if it were the root, and kept as open files.

A symbolic link below the folder leads to where it would lead a process whose root the folder is, never out of it,
and what is found is a descriptor (O_PATH): nobody can put something else there between the look and the use.
openat2(2) does it since Linux 5.6; before, the path is walked name by name.
"""

import errno
import os
import stat

from shepherd.runtime.linux import syscalls

_LINKS = 40  # as many as the kernel follows (path_resolution(7))
_RETRIES = 128  # a rename anywhere beside the walk makes openat2 give up with EAGAIN


def shown(descriptor: int) -> str:
    """A path by which a call that takes no descriptor gets at the file. For processes that see the machine's /proc."""
    return "/proc/self/fd/%d" % descriptor


def open_inside(root: int, path: str, flags: int = os.O_PATH, resolve: int = 0) -> int:
    """Open what a process with the folder `root` as its root would find at `path`. Raises OSError.

    `resolve` may add RESOLVE_NO_SYMLINKS; links of the kernel's own in /proc (PID/fd, PID/exe) are never followed.
    """
    resolve |= syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    for _attempt in range(_RETRIES):
        try:
            return syscalls.openat2(root, path, flags, 0, resolve)
        except OSError as error:
            if error.errno == errno.ENOSYS:
                return _walk(root, path, flags, bool(resolve & syscalls.RESOLVE_NO_SYMLINKS))
            if error.errno != errno.EAGAIN:
                raise
    raise OSError(errno.EAGAIN, "it is moved about all the time", path)


def _walk(root, path, flags, no_links):
    """The same without openat2: one name at a time, never through a link that is not read here."""
    rest = [name for name in path.split("/") if name not in ("", ".")][::-1]
    opened = [os.dup(root)]
    links = 0
    try:
        while rest:
            name = rest.pop()
            if name == "..":
                if len(opened) > 1:
                    os.close(opened.pop())
                continue
            found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=opened[-1])
            mode = os.fstat(found).st_mode
            if not stat.S_ISLNK(mode) or (not rest and flags & os.O_NOFOLLOW):
                if rest and not stat.S_ISDIR(mode):
                    os.close(found)
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                opened.append(found)
                continue
            target = os.readlink("", dir_fd=found)  # an empty path is the link itself
            os.close(found)
            links += 1
            if no_links or links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                while len(opened) > 1:
                    os.close(opened.pop())
            rest += [part for part in target.split("/") if part not in ("", ".")][::-1]
        if flags & os.O_PATH:
            if flags & os.O_DIRECTORY and not stat.S_ISDIR(os.fstat(opened[-1]).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            return os.dup(opened[-1])
        return os.open(shown(opened[-1]), (flags & ~os.O_NOFOLLOW) | os.O_CLOEXEC)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def make_folder(root: int, path: str, mode: int = 0o755, links: int = 0) -> int:
    """The folder at `path`, made with those above it where it is missing. Raises OSError."""
    path = os.path.normpath("/" + path)
    try:
        return open_inside(root, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    above, name = os.path.split(path)
    parent = make_folder(root, above, mode, links)
    try:
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            target = _link(name, parent)
            if target is not None:  # a link to a folder that is missing: that one is made
                if links >= _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                return make_folder(root, os.path.join(above, target), mode, links + 1)
        return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)


def _link(name, parent):
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError:
        return None  # made by somebody else meanwhile


def make_file(root: int, path: str, mode: int = 0o644, links: int = 0) -> int:
    """The file at `path`, made empty where it is missing, its folders too. Raises OSError."""
    path = os.path.normpath("/" + path)
    try:
        return open_inside(root, path)
    except FileNotFoundError:
        pass
    above, name = os.path.split(path)
    parent = make_folder(root, above)
    try:
        try:
            os.close(
                os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)
            )
        except FileExistsError:
            target = _link(name, parent)
            if target is not None:  # a link to a file that is missing, as /etc/resolv.conf often is: that one is made
                if links >= _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                return make_file(root, os.path.join(above, target), mode, links + 1)
        return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
