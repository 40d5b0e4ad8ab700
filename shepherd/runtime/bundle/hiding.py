"""What of the root cannot be written to or seen (config-linux.md, "Readonly Paths", "Masked Paths")."""

import errno
import os
import stat

from shepherd.runtime.bundle import trees
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import paths, syscalls
from shepherd.runtime.linux.paths import shown


def make_readonly(root: int, path: str) -> None:
    """A path in the root, if it is there. Raises OSError."""
    try:
        place = paths.open_inside(root, path)
    except OSError:
        return  # nothing is there, or nothing that a process inside would get at
    try:
        try:
            tree = syscalls.open_tree(
                place, "", syscalls.AT_EMPTY_PATH | syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE
            )
            try:
                syscalls.mount_setattr(tree, syscalls.MOUNT_ATTR_RDONLY, 0, 0, 0, syscalls.AT_RECURSIVE)
                syscalls.move_mount(tree, place)
            finally:
                os.close(tree)
            return
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
        syscalls.mount(shown(place), shown(place), None, syscalls.MS_BIND | syscalls.MS_REC)
    finally:
        os.close(place)
    trees.change(root, path, syscalls.MOUNT_ATTR_RDONLY)


def mask(root: int, masked: list) -> None:
    """Put an empty folder, or /dev/null, over those of the paths that are there. Raises OSError, RuntimeFailure."""
    null = _open_null()
    try:
        for path in masked:
            _mask(root, path, null)
    finally:
        os.close(null)


def _mask(root, path, null):
    try:
        place = paths.open_inside(root, path)
    except OSError:
        return
    try:
        if stat.S_ISDIR(os.fstat(place).st_mode):
            syscalls.mount("tmpfs", shown(place), "tmpfs", syscalls.MS_RDONLY, "size=0,nr_inodes=2,mode=755")
        else:
            syscalls.mount(shown(null), shown(place), None, syscalls.MS_BIND)
    finally:
        os.close(place)


def _open_null():
    """The machine's /dev/null, and nothing that was put in its place (null(4))."""
    null = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
    found = os.fstat(null)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        os.close(null)
        raise RuntimeFailure("/dev/null of this machine is another device")
    return null
