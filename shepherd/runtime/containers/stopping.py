"""Ending a container."""

import os
import select
import time

from shepherd.runtime.containers import launch
from shepherd.runtime.errors import RuntimeFailure


def stop(record, number=None, grace=None) -> None:
    """End it by a signal, after so many seconds by SIGKILL, and wait until it has ended. Declared values where None."""
    from shepherd.runtime.containers import events, recovery

    with record:
        recovery.recover(record)
        if not record.monitor():
            return  # it does not run
        record.set_stopped(True)
        connection = launch.connect(record)
        thaw(record)
    if connection is not None:
        words = tuple(b"-" if one is None else b"%d" % one for one in (number, grace))
        connection.say(b"s %s %s" % words)
        connection.ended()
        connection.close()
    events.write(record, "stop")


def thaw(record) -> None:
    """A paused container hears of no signal."""
    from shepherd.runtime.bundle import lifecycle
    from shepherd.runtime.containers import shown

    state = record.state()
    if state["Status"] in ("running", "paused") and shown.is_paused(record):
        try:
            lifecycle.resume(record.folders.started, record.id)
        except RuntimeFailure:
            pass  # somebody else did


def await_monitor(record, timeout: float = 30.0) -> None:
    """Until its monitor has ended, which it is about to. Raises RuntimeFailure."""
    pid = record.monitor()
    if not pid:
        return
    from shepherd.runtime.linux import syscalls

    connection = launch.connect(record)
    if connection is not None:
        connection.say(b"s - 0")  # it does not wait for slow readers any more
        connection.close()
    try:
        descriptor = syscalls.pidfd_open(pid)
    except OSError:
        descriptor = None
    try:
        if descriptor is not None and record.monitor() == pid:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(timeout * 1000)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    deadline = time.monotonic() + timeout
    while record.monitor() == pid:
        if time.monotonic() > deadline:
            raise RuntimeFailure("the monitor of container %s does not end: process %d" % (record.name, pid))
        time.sleep(0.005)  # before Linux 5.3 there is nothing to wait on
