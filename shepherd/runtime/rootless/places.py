"""Where an ordinary user's containers are kept.

ROOT is $XDG_DATA_HOME/shepherd (~/.local/share/shepherd), STATE is shepherd in $XDG_RUNTIME_DIR, in /run/user/UID, or
in /tmp/shepherd-UID: the first of these that is this user's own (XDG Base Directory Specification).
"""

import os
import stat

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace


def choose() -> None:
    """Say in the environment where they are, unless that has been said."""
    os.environ.setdefault("SHEPHERD_RUNTIME_ROOT", _root())
    os.environ.setdefault("SHEPHERD_RUNTIME_STATE", _state())


def _root():
    data = os.environ.get("XDG_DATA_HOME")
    if not data or not os.path.isabs(data):
        data = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "shepherd")


def _state():
    number = os.geteuid()
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), "/run/user/%d" % number):
        if folder and os.path.isabs(folder) and _is_own(folder):
            return os.path.join(folder, "shepherd")
    return os.path.join("/tmp/shepherd-%d" % number, "shepherd")


def _is_own(folder):
    """`su` leaves the variable of another user."""
    try:
        found = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def make(path: str) -> None:
    """Make a folder that this user alone enters, with those above it where they are missing. Raises RuntimeFailure.

    One on whose way others could put another in its place is refused: in /tmp anybody may have been here first.
    """
    above = os.path.dirname(path)
    if os.path.isdir(above):
        _check_above(above)
    else:
        make(above)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise RuntimeFailure("%s is not a folder of this user's" % path, "--root and --state say where else to")
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)


def _check_above(path):
    """Nobody but root and this user may rename what is in it, or in those above it; nor be the one who made a link."""
    trusted = {0, os.geteuid()}
    if user_namespace.confined():
        trusted.add(65534)  # root of the machine, who is nobody here (proc_sys_kernel(5), overflowuid)
    if os.lstat(path).st_uid not in trusted:
        raise RuntimeFailure("%s is not this user's" % path, "--root and --state say where else to")
    path = os.path.realpath(path)
    while True:
        found = os.stat(path)
        if found.st_uid not in trusted:
            raise RuntimeFailure("%s is not this user's" % path, "--root and --state say where else to")
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX and not _is_private_group(found):
            raise RuntimeFailure("others may write to %s" % path, "chmod go-w %s, or --root and --state" % path)
        if path == "/":
            return
        path = os.path.dirname(path)


def _is_private_group(found):
    """Writable for a group that is the user's own, as where each user has a group and a umask of 002."""
    return not found.st_mode & 0o002 and found.st_gid == os.getegid()
