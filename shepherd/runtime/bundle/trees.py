"""Mounts as trees that can be copied and changed: by mount_setattr(2) where the kernel has it, else as mount(8) did."""

import errno
import os

from shepherd.runtime.bundle import options
from shepherd.runtime.linux import paths, syscalls
from shepherd.runtime.linux.paths import shown


def clone_source(mount: dict, chosen, users=None):
    """The source of a bind mount as a mount of its own with its flags, attached nowhere; None before Linux 5.12.

    `users` is the descriptor of a user namespace by which owners are mapped.
    """
    flags = syscalls.OPEN_TREE_CLONE | (syscalls.AT_RECURSIVE if chosen.recursive else 0)
    try:
        tree = syscalls.open_tree(syscalls.AT_FDCWD, mount["source"], flags)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return None
        raise
    try:
        if users is not None:
            deep = syscalls.AT_RECURSIVE if chosen.idmap == "ridmap" else 0
            syscalls.mount_setattr(tree, syscalls.MOUNT_ATTR_IDMAP, 0, 0, users, deep)
        if chosen.recursive_flags or chosen.recursive_cleared:
            add, clear = options.attributes(chosen.recursive_flags, chosen.recursive_cleared)
            syscalls.mount_setattr(tree, add, clear, 0, 0, syscalls.AT_RECURSIVE)
        add, clear = options.attributes(chosen.flags, chosen.cleared)
        if add or clear:
            syscalls.mount_setattr(tree, add, clear)
        for one in chosen.propagation or [syscalls.MS_PRIVATE | syscalls.MS_REC]:
            deep = syscalls.AT_RECURSIVE if one & syscalls.MS_REC else 0
            syscalls.mount_setattr(tree, 0, 0, one & ~syscalls.MS_REC, 0, deep)
    except OSError as error:
        os.close(tree)
        if error.errno == errno.ENOSYS and users is None:
            return None
        raise
    return tree


def change(root: int, target: str, add: int, clear: int = 0, flags: int = 0) -> None:
    """Change MOUNT_ATTR_* of what is mounted at a path in the root; with AT_RECURSIVE all below it. Raises OSError."""
    place = paths.open_inside(root, target)
    try:
        try:
            syscalls.mount_setattr(place, add, clear, 0, 0, flags)
        except OSError as error:
            if error.errno != errno.ENOSYS or flags:
                raise
            kept = kept_flags(place) | (syscalls.MS_RDONLY if add & syscalls.MOUNT_ATTR_RDONLY else 0)
            syscalls.mount(None, shown(place), None, syscalls.MS_REMOUNT | syscalls.MS_BIND | kept)
    finally:
        os.close(place)


def kept_flags(place: int) -> int:
    """The flags of the mount that a descriptor is on, for a remount that is to change one of them (statvfs(3))."""
    found = os.fstatvfs(place).f_flag
    known = {1: syscalls.MS_RDONLY, 2: syscalls.MS_NOSUID, 4: syscalls.MS_NODEV, 8: syscalls.MS_NOEXEC}
    known.update({1024: syscalls.MS_NOATIME, 2048: syscalls.MS_NODIRATIME, 4096: syscalls.MS_RELATIME})
    return sum(flag for bit, flag in known.items() if found & bit)
