"""Which containers run, read from the kernel rather than from files that a crash leaves stale (proc(5))."""

import os
import select
import signal
import time


def inits(prefix: str) -> dict:
    """Process 1 of every container whose root is an overlay with a source that starts so: a dict of source to pid.

    The source is the `name` given to mounts.make_overlay. Containers in containers are left out.
    """
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            source = _root_source(entry)
            if source is not None and source.startswith(prefix) and _is_init(entry):
                found[source] = int(entry)
    return found


def is_init(pid: int, source: str) -> bool:
    """Whether it is process 1 of the container whose root has exactly this source: one look rather than one at all."""
    return _root_source(pid) == source and _is_init(pid)


def _root_source(pid):
    try:
        with open("/proc/%s/mountinfo" % pid, "rb") as file:
            for line in file:
                fields, _, rest = line.partition(b" - ")
                if fields.split()[4] == b"/":
                    kind, source = rest.split()[:2]
                    return source.decode("utf-8", "replace") if kind == b"overlay" else None
    except OSError:
        pass  # it ended meanwhile
    return None


def _is_init(pid):
    """Whether it is the first process one process namespace down from ours."""
    try:
        with open("/proc/%s/status" % pid, "rb") as file:
            for line in file:
                if line.startswith(b"State:") and b"Z" in line.split()[1]:
                    return False
                if line.startswith(b"NSpid:"):
                    numbers = line.split()[1:]
                    return len(numbers) == 2 and numbers[1] == b"1"
    except OSError:
        pass
    return False


def kill(pids: list, timeout: float = 10.0) -> list:
    """End these processes, and return those still there after `timeout` seconds. With a process 1 goes all it began."""
    waiting = {}
    for pid in pids:
        handle = _handle(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            waiting[pid] = handle
        except ProcessLookupError:
            if handle is not None:
                os.close(handle)
    deadline = time.monotonic() + timeout
    left = [pid for pid, handle in waiting.items() if not _ended(pid, handle, deadline)]
    for handle in waiting.values():
        if handle is not None:
            os.close(handle)
    return left


def _handle(pid):
    """A descriptor that becomes readable when the process ends; None before Linux 5.3 and Python 3.9."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _ended(pid, handle, deadline):
    if handle is not None:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
    while os.path.exists("/proc/%d" % pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
