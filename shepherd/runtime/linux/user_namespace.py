"""The user namespace that this process is in (user_namespaces(7)): what its root is root of."""

import os
import sys

_ALL = [(0, 0, (1 << 32) - 1)]
_NS_GET_USERNS = 0xB701  # ioctl_ns(2)
_NS_GET_OWNER_UID = 0xB704


def maps(kind: str = "uid", pid="self") -> list:
    """(first id inside, first id outside, count) of each range of `kind` "uid" or "gid" of a process's namespace.

    Ids outside are those of the reader's own namespace. Raises OSError.
    """
    with open("/proc/%s/%s_map" % (pid, kind)) as file:
        return [tuple(int(word) for word in line.split()) for line in file]


def confined() -> bool:
    """Whether root here is not the machine's root: there are ids that it cannot give, and devices it cannot make.

    It is looked for once: who enters a namespace executes a program then, and asks nothing before.
    """
    if not _KNOWN:
        try:
            _KNOWN.append(maps() != _ALL)
        except OSError:
            _KNOWN.append(False)  # a kernel without user namespaces
    return _KNOWN[0]


_KNOWN = []


def of_user() -> bool:
    """Whether this is an ordinary user's namespace on the machine, and not the root of a container that has all kinds
    of namespaces of its own: control groups, the network, and process numbers are the machine's then."""
    if not confined():
        return False
    import fcntl

    # the namespace of host names, since that is the one that no part of the runtime takes for itself
    ours = os.open("/proc/self/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.close(fcntl.ioctl(ours, _NS_GET_USERNS))
        return False
    except PermissionError:
        return True
    except OSError:
        return False  # before Linux 4.9
    finally:
        os.close(ours)


def owner(namespace: int) -> int:
    """The user who made the user namespace of an open file, as seen from here. Raises OSError."""
    import fcntl

    found = bytearray(4)
    fcntl.ioctl(namespace, _NS_GET_OWNER_UID, found)
    return int.from_bytes(found, sys.byteorder)


def knows(ranges: list, number: int) -> bool:
    """Whether an id is in one of the ranges of `maps`."""
    return any(0 <= number - first < count for first, _outside, count in ranges)


def may_set_groups() -> bool:
    """Whether supplementary groups can be chosen here: without subordinate ids they cannot, for those that a user is
    in may be there to be kept from something ("setgroups")."""
    try:
        with open("/proc/self/setgroups") as file:
            return file.read().strip() != "deny"
    except OSError:
        return True
