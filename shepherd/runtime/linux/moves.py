"""Processes that are about to move from one control group to another. Imports next to nothing: it is called first."""

import os
import time

_GENERIC = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "xattr", "clone_children", "noprefix"}


def hierarchies() -> list:
    """What is mounted: a list of (mount point, kind, options), options being the controllers of version 1."""
    found = []
    with open("/proc/self/mounts") as file:
        for line in file:
            _source, target, kind, options = line.split()[:4]
            if kind == "cgroup2":
                found.append((target, kind, []))
            elif kind == "cgroup":
                found.append((target, kind, [word for word in options.split(",") if word not in _GENERIC]))
    return found


def expect() -> None:
    """Make the next move of a process between groups, soon after this, take a tenth of a millisecond and not ten.

    The kernel lets a grace period of RCU pass before the first one and is ready for more for some time after
    (percpu_rw_semaphore, cgroup_threadgroup_rwsem). This lets it pass while there are other things to do: a thread,
    which does nothing but wait, moves this process to the group where it is, and again so that the kernel stays ready.
    What fails is left to the real move.
    """
    now = time.monotonic()
    if now - _EXPECTED[0] < _SOON:
        return
    _EXPECTED[0] = now
    try:
        place = os.open(_own_group() + "/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return
    import _thread

    begun = _thread.allocate_lock()
    begun.acquire()
    try:
        _thread.start_new_thread(_move_to_where_it_is, (place, begun))
    except RuntimeError:  # as many as there may be
        os.close(place)
        return
    begun.acquire()  # or it would begin when Python lets it, which may be milliseconds from now


def _own_group():
    """The folder of this process's group in the first hierarchy that it is listed in. Raises OSError, ValueError."""
    with open("/proc/self/cgroup") as file:
        number, names, path = file.readline().rstrip("\n").split(":", 2)
    for target, kind, controllers in hierarchies():
        if kind == "cgroup2" if number == "0" else set(names.split(",")) <= set(controllers):
            return target + path.rstrip("/")
    raise ValueError(names)


_EXPECTED = [-1.0]
_SOON = 0.02  # seconds in which one call is enough
_AGAIN = 0.006  # less than a grace period, after one of which the kernel is not ready any more


def _move_to_where_it_is(place, begun):
    begun.release()
    try:
        for _time in range(int(_SOON / _AGAIN)):
            os.write(place, b"0")
            time.sleep(_AGAIN)
    except OSError:
        pass
    finally:
        os.close(place)
