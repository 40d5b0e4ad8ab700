"""Asking a container how it is (docker run --health-*; HEALTHCHECK of its image).

Tests are ["CMD", …], ["CMD-SHELL", TEXT], and two that need no program in the image: ["HTTP", URL], where a status of
200 to 399 is good, and ["TCP", PORT or HOST:PORT]; both are asked from inside its network. Durations are nanoseconds.

A container that has just been started is asked more often than later, so that who waits for it hears at once. Where
StartInterval is said, that is the time between checks for as long as StartPeriod, as in Docker. Where it is not, checks
come early until the first one is good: those before their time by Interval tell of health, and never of illness.
"""

import os
import select
import time

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock

_LONGEST_OUTPUT = 4096
_KEPT = 5
_SOON = 0.1  # seconds from the start to the first early check
_SHARE = 0.1  # of the time since the start, until the next one
_RARELY = 5.0  # seconds between them at most
_REST = 4.0  # times what the last one took: where processors are short, they are the container's


class Health:
    """The checks of one run of a container, for its monitor. The state is in a file of the monitor's folder."""

    def __init__(self, monitor, check: dict):
        self._monitor = monitor
        self._check = check
        self._began = time.monotonic()
        self._path = os.path.join(monitor.record.folders.running(monitor.record.id), "health.json")
        self._child = None
        self._asked = 0.0  # when, and
        self._took = 0.0  # how long until the answer: the last check
        self.shown = {"Status": "starting", "FailingStreak": 0, "Log": []}
        self._due = self._began + self._seconds("Interval", 30)  # the next check that counts when it is bad
        self._save()
        self._plan()

    def _seconds(self, field, default):
        return (self._check.get(field) or default * 1000000000) / 1e9

    def _is_starting(self):
        period = (self._check.get("StartPeriod") or 0) / 1e9
        return self.shown["Status"] == "starting" and time.monotonic() - self._began < period

    def _plan(self):
        wait = max(0.0, self._due - time.monotonic())
        if self._check.get("StartInterval"):
            wait = min(wait, self._seconds("StartInterval", 0)) if self._is_starting() else wait
        elif self.shown["Status"] == "starting":
            early = max(_SOON, _SHARE * (time.monotonic() - self._began), _REST * self._took)
            wait = min(wait, _RARELY, early)
        self._monitor.after(wait, "health", self._ask)

    def stop(self) -> None:
        """The container has ended."""
        self._monitor.cancel("health")
        self._child = None
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass

    def _save(self):
        try:
            processes.write(self._path, document.dumps(self.shown))
        except OSError:
            pass  # no room: the next check tries again

    def _ask(self):
        """One check, in a process of its own."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self._asked = time.monotonic()
        monitor, token = self._monitor, object()
        state, timeout = dict(monitor.state), self._seconds("Timeout", 30)
        begun = clock.stamp()

        def work():
            from shepherd.runtime.containers import probe

            os.write(
                writer, document.dumps(probe.run(monitor.record, state, self._check["Test"], timeout)).encode("ascii")
            )

        def done(_status):
            data = b""
            while select.select([reader], [], [], 0)[0]:
                part = os.read(reader, 1 << 16)
                if not part:
                    break
                data += part
            os.close(reader)
            if self._child is token:
                result = document.loads(data, "check") if data else {"ExitCode": -1, "Output": "the check was killed"}
                self._take(dict(result, Start=begun, End=clock.stamp()))

        self._child = token
        monitor.child(work, done)
        os.close(writer)

    def _take(self, result):
        self._took = time.monotonic() - self._asked
        shown, starting, early = self.shown, self._is_starting(), self._asked < self._due
        before = shown["Status"]
        shown["Log"] = (shown["Log"] + [result])[-_KEPT:]
        if result["ExitCode"] == 0:
            shown.update(Status="healthy", FailingStreak=0)
        elif not starting and not early:
            shown["FailingStreak"] += 1
            if shown["FailingStreak"] >= (self._check.get("Retries") or 3):
                shown["Status"] = "unhealthy"
        if result["ExitCode"] == 0 or not early:
            self._due = time.monotonic() + self._seconds("Interval", 30)
        self._save()
        if shown["Status"] != before:
            self._monitor.tell("health_status: " + shown["Status"])
            self._tell_front()
        self._plan()

    def _tell_front(self):
        """Who shares ports with others gets connections while it is well (network/front.py)."""
        record = self._monitor.record
        if not (record.config.get("Networking") or {}).get("front"):
            return

        def work():
            from shepherd.runtime.network import attach

            attach.set_ill(record.id, lambda: (read(record) or {}).get("Status") != "healthy")

        self._monitor.child(work, lambda _status: None)


def read(record):
    """The state of a running container's health; None where it has no check."""
    try:
        path = os.path.join(record.folders.running(record.id), "health.json")
        with open(path, "rb", 0) as file:
            return document.loads(file.read(), path)
    except OSError:
        return None
