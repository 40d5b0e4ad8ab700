"""Trees of files that others made, handled by file descriptor: no name in them is ever followed as a path."""

import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_folder(name, dir_fd=None) -> int:
    """The folder `name`, never what a symbolic link of that name leads to."""
    return os.open(name, FOLDER, dir_fd=dir_fd)


def remove(name, dir_fd=None) -> None:
    """Take away `name` and all that is in it, however deep: not more than two folders are open at a time.

    A folder that is not empty is moved up, beside the others, until none is left below another: so neither the depth
    of the tree nor the length of its paths matters.
    """
    try:
        top = _opened(name, dir_fd)
    except NotADirectoryError:
        os.unlink(name, dir_fd=dir_fd)
        return
    try:
        prefix = ".%s-" % os.urandom(8).hex()
        moved = 0
        waiting = _empty(top, os.listdir(top))
        while waiting:
            folder = waiting.pop()
            inner = _opened(folder, top)
            try:
                for below in _empty(inner, os.listdir(inner)):
                    place = prefix + str(moved)
                    moved += 1
                    os.rename(below, place, src_dir_fd=inner, dst_dir_fd=top)
                    waiting.append(place)
            finally:
                os.close(inner)
            os.rmdir(folder, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=dir_fd)


def _opened(name, dir_fd):
    """A folder that may be read and emptied, whatever mode it has."""
    try:
        found = open_folder(name, dir_fd)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=dir_fd)
        found = open_folder(name, dir_fd)
    if os.geteuid() and os.fstat(found).st_mode & 0o700 != 0o700:
        os.fchmod(found, 0o700)
    return found


def _empty(folder, names):
    """Take away the files and empty folders of these names; return the folders that have something in them."""
    left = []
    for name in names:
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError:
                left.append(name)
    return left
