"""What a monitor waits for: descriptors, moments, signals, and the end of its children."""

import _signal as signal  # signal itself costs an import of enum
import gc
import os
import select
import sys
import time

from shepherd.runtime.linux import syscalls

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Loop:
    """Everything is called from `turn`, one thing after another."""

    def __init__(self):
        self._poll = select.poll()
        self._handlers = {}
        self._timers = {}  # name: (when, by time.monotonic(); what to call)
        self._children = {}  # pid: what to call with its status
        self._unclaimed = {}  # of children that nobody has told us of yet: pid to status

    def watch(self, descriptor: int, events: int, handler) -> None:
        """Call `handler(events)` when something happens to the descriptor."""
        self._poll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def change(self, descriptor: int, events: int) -> None:
        """Of a descriptor that is watched: wait for other events."""
        if descriptor in self._handlers:
            self._poll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Do not watch it any more."""
        if self._handlers.pop(descriptor, None):
            self._poll.unregister(descriptor)

    def after(self, seconds: float, name: str, call) -> None:
        """Call it once when so much time has passed; one of each name."""
        self._timers[name] = (time.monotonic() + seconds, call)

    def cancel(self, name: str) -> bool:
        """Do not call it; whether it would have been called."""
        return self._timers.pop(name, None) is not None

    def child(self, work, done) -> None:
        """Do `work()` in a process of its own; `done(status)` is called when that has ended."""
        us = os.getpid()
        pid = os.fork()
        if pid == 0:
            gc.disable()  # it would touch all of the memory that is shared with this process
            status = 1
            try:
                syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing goes on behind the back of the next monitor
                if os.getppid() != us:
                    os._exit(1)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                work()
                status = 0
            except BaseException:
                import traceback

                sys.stderr.write(traceback.format_exc())
            finally:
                os._exit(status)
        self._children[pid] = done

    def claim(self, pid: int, done) -> None:
        """`done(status)` is called when this process, which a child left to us, has ended; perhaps it has already."""
        status = self._unclaimed.pop(pid, None)
        self._unclaimed.clear()
        if status is None:
            self._children[pid] = done
        else:
            done(status)

    def turn(self) -> None:
        """Wait until something happens, and do what is to be done then."""
        timeout = None
        if self._timers:
            timeout = max(0, min(when for when, _call in self._timers.values()) - time.monotonic()) * 1000 + 1
        for descriptor, event in self._poll.poll(timeout):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(event)
        now = time.monotonic()
        for name, (when, call) in list(self._timers.items()):
            if when <= now and self._timers.get(name) == (when, call):
                del self._timers[name]
                call()

    def hear_signals(self, terminated) -> None:
        """See every child end, also those of children that have ended; `terminated()` is called on SIGTERM."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)

        def hear(_event):
            if bytes((signal.SIGTERM,)) in os.read(reader, 4096):
                terminated()
            self._reap()

        self.watch(reader, select.POLLIN, hear)

    def _reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            done = self._children.pop(pid, None)
            if done is not None:
                done(status)
            else:
                self._unclaimed[pid] = status
