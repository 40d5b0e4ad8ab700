"""The devices of a container: nodes made in its root, or the machine's shown there (config-linux.md, "Devices")."""

import errno
import os
import stat

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import mounts, paths, syscalls
from shepherd.runtime.linux.paths import shown

_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def make_defaults(root: int, own) -> None:
    """Those that every container has ("Default Devices"). `own` are the kinds of its new namespaces."""
    folder = paths.make_folder(root, "/dev")
    try:
        for name, major, minor in mounts.DEVICES:
            device = {"path": "/dev/" + name, "type": "c", "major": major, "minor": minor, "fileMode": 0o666}
            _make(root, folder, device, own)
        for name, target in mounts.LINKS:
            try:
                os.symlink(target, name, dir_fd=folder)
            except FileExistsError:
                pass  # the image's own
    finally:
        os.close(folder)


def make(root: int, device: dict, own) -> None:
    """One of /linux/devices. Raises OSError, RuntimeFailure."""
    folder = paths.make_folder(root, os.path.dirname(_path(device)))
    try:
        _make(root, folder, device, own)
    finally:
        os.close(folder)


def _path(device):
    return os.path.normpath("/" + device["path"].lstrip("/"))


def _make(root, folder, device, own):
    path = _path(device)
    name = os.path.basename(path)
    kind = _TYPES[device["type"]]
    number = 0 if device["type"] == "p" else os.makedev(device["major"], device["minor"])
    mode = device.get("fileMode")
    mode = (0o666 if mode is None else mode) & 0o7777
    owner = device.get("uid") or 0, device.get("gid") or 0
    try:
        if "user" in own and device["type"] != "p":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))  # the node could not be opened
        before = os.umask(0)
        try:
            os.mknod(name, kind | mode, number, dir_fd=folder)
        finally:
            os.umask(before)
    except FileExistsError:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) != kind or (number and found.st_rdev != number):
            raise RuntimeFailure("%s exists in the root, and is not that device" % path) from None
        return
    except PermissionError:
        _bind(root, path, kind, number)
        return
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    made = found.st_mode, found.st_rdev, found.st_uid, found.st_gid
    if made == (kind | mode, number, *owner):
        return  # nothing is left to do: no rights that the folder hands down
    # by descriptor: the folder may be one that others write to
    node = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(node)
        if stat.S_IFMT(found.st_mode) != kind or found.st_rdev != number:
            raise RuntimeFailure("%s was changed while it was made" % path)
        if owner != (found.st_uid, found.st_gid):
            os.chown(shown(node), *owner)
        os.chmod(shown(node), mode)
    finally:
        os.close(node)


def _bind(root, path, kind, number):
    """In a user namespace nothing can be made that the machine's devices are reached by: theirs are shown."""
    source = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(source)
        if stat.S_IFMT(found.st_mode) != kind or found.st_rdev != number:
            raise RuntimeFailure("%s of this machine is another device" % path)
        place = paths.make_file(root, path)
        try:
            syscalls.mount(shown(source), shown(place), None, syscalls.MS_BIND)
        finally:
            os.close(place)
    finally:
        os.close(source)
