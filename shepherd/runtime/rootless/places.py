"""Where an ordinary user's containers are kept.

ROOT is $XDG_DATA_HOME/shepherd (~/.local/share/shepherd), STATE is shepherd in $XDG_RUNTIME_DIR, in /run/user/UID, or
in /tmp/shepherd-UID: the first of these that is this user's own (XDG Base Directory Specification).
"""

import os
import stat

from shepherd.runtime.errors import RuntimeFailure


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
    """Make a folder that this user alone enters, with those above it; one that others made is refused.

    In /tmp anybody may have been here first, with a folder or a link of that name.
    """
    above = os.path.dirname(path)
    if not os.path.isdir(above):
        make(above)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode) and os.lstat(above).st_mode & stat.S_ISVTX == 0:
        found = os.stat(path)  # the user's own way of saying where it is; not where others could have made the link
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise RuntimeFailure("%s is not a folder of this user's" % path, "--root and --state say where else to")
    if found.st_mode & 0o022:
        raise RuntimeFailure("others may write to %s" % path, "chmod 700 %s" % path)


def make_own(path: str) -> None:
    """`make`, and nobody else enters the last of them."""
    make(path)
    if os.stat(path).st_mode & 0o077:
        os.chmod(path, 0o700)
