"""Processes that are about to move from one control group to another. Imports next to nothing: it is called first."""

import os
import time

_GENERIC = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "xattr", "clone_children", "noprefix"}


def hierarchies() -> list:
    """What is mounted: a list of (mount point, kind, options), options being the controllers of version 1."""
    found = []
    with open("/proc/self/mounts", "rb", 0) as file:
        content = os.fsdecode(file.readall())
    for line in content.splitlines():
        if " cgroup" not in line:
            continue  # a machine with many containers has many mounts
        _source, target, kind, options = line.split()[:4]
        if kind == "cgroup2":
            found.append((target, kind, []))
        elif kind == "cgroup":
            found.append((target, kind, [word for word in options.split(",") if word not in _GENERIC]))
    return found


def open_doors(paths: list) -> list:
    """Descriptors of the files `tasks` of groups, for a process that may not open them itself. Raises OSError."""
    doors = []
    try:
        for path in paths:
            doors.append(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except BaseException:
        for door in doors:
            os.close(door)
        raise
    return doors


def go(doors: list) -> None:
    """Move this process, which has one thread, into groups of version 1: their files `tasks`, opened by who may write
    to them. The descriptors are closed. Raises OSError.

    A thread that moves itself is the only case in which the kernel has nothing to wait for (since Linux 5.16; of
    version 2 there is a process that is born in its group, syscalls.fork_into).
    """
    try:
        for door in doors:
            os.write(door, b"0")
    finally:
        for door in doors:
            os.close(door)


def expect() -> None:
    """On an older kernel: make the next move of a process between groups, soon after this, take a tenth of a
    millisecond and not ten.

    The kernel lets a grace period of RCU pass before the first one and is ready for more for some time after
    (percpu_rw_semaphore, cgroup_threadgroup_rwsem). This lets it pass while there are other things to do: a thread,
    which does nothing but wait, moves this process to the group where it is, and again so that the kernel stays ready.
    What fails is left to the real move.
    """
    now = time.monotonic()
    if now - _EXPECTED[0] < _SOON or not _is_waited_for():
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


def _is_waited_for():
    """Whether a new container's process comes to its groups only after a grace period here."""
    words = os.uname().release.split("-")[0].split(".")
    release = tuple(int(word) for word in words[:2] if word.isdigit())
    if release >= _ITSELF:
        return False
    return release < _BORN or any(kind == "cgroup" for _target, kind, _names in hierarchies())


_ITSELF = 5, 16  # Linux: a thread moves itself without a wait
_BORN = 5, 7  # a process begins in a group of version 2


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
