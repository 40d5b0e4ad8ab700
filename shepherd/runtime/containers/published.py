"""That a container's ports are served while it runs: a process that does so and is killed is started again.

For its monitor, which watches the processes by descriptors of them (pidfd_open(2)), and has what is to be done about it
done by a child. Before Linux 5.3 nobody is told, and it is the next verb that notices.
"""

import os
import select
import time

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.linux import syscalls

_WAIT = 1.0  # seconds before the next attempt, where the last one did not last as long


class Published:
    """Of one run of a container."""

    def __init__(self, monitor):
        self._monitor = monitor
        self._watched = []
        self._looked = 0.0
        self._ended = False

    def watch(self, found: list) -> None:
        """The processes that serve its ports, [{"pid", "began"}]."""
        for one in found:
            try:
                descriptor = syscalls.pidfd_open(one["pid"])
            except ProcessLookupError:
                self._missing()
                return
            except OSError:
                return  # before Linux 5.3
            self._watched.append(descriptor)
            self._monitor.watch(descriptor, select.POLLIN, lambda _event: self._missing())
            if not processes.alive(one):
                self._missing()
                return

    def look(self) -> None:
        """Find out which they are, and start those that are missing."""
        self._looked = time.monotonic()
        monitor = self._monitor
        if self._ended or not monitor.record.is_attached:
            return
        reader, writer = os.pipe2(os.O_CLOEXEC)

        def work():
            from shepherd.runtime.network import attach

            os.write(writer, document.dumps(attach.serving(monitor.record.id)).encode("ascii"))

        def done(_status):
            os.close(writer)
            data = os.read(reader, 1 << 16)
            os.close(reader)
            if not data:
                monitor.after(_WAIT, "ports", self.look)
            elif not self._ended:
                self._forget()
                self.watch(document.loads(data, "processes"))

        monitor.child(work, done)

    def _missing(self):
        self._forget()
        lasted = time.monotonic() - self._looked
        self._monitor.after(0 if lasted > _WAIT else _WAIT, "ports", self.look)

    def stop(self) -> None:
        """The container has ended."""
        self._ended = True
        self._monitor.cancel("ports")
        self._forget()

    def _forget(self):
        for descriptor in self._watched:
            self._monitor.forget(descriptor)
            os.close(descriptor)
        self._watched = []
