"""Lines on a terminal, and below them one that tells what is being done: the task, how many hosts, how long."""

from __future__ import annotations

import shutil
import threading
import time
from typing import IO, TYPE_CHECKING

from shepherd.report import events

if TYPE_CHECKING:
    from shepherd.report.lines import Lines

INTERVAL = 0.2  # seconds between two drawings of the line


class Live:
    """Draws the line from a thread of its own, so that a long task shows that time passes."""

    def __init__(self, lines: Lines, stream: IO[str]) -> None:
        self._lines = lines
        self._stream = stream
        self._lock = threading.Lock()
        self._task = ""
        self._began = time.monotonic()
        self._hosts = 0
        self._done = 0
        self._drawn = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="live progress", daemon=True)
        self._thread.start()

    def emit(self, event: events.Event) -> None:
        with self._lock:
            self._clear()
            self._lines.emit(event)
            if isinstance(event, events.PlayStart):
                self._hosts = len(event.hosts)
            elif isinstance(event, events.TaskStart):
                self._task, self._done, self._began = event.name, 0, time.monotonic()
            elif isinstance(event, events.HostResult):
                self._done += 1
            self._stream.flush()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._clear()
            self._lines.close()

    def _tick(self) -> None:
        while not self._ended.wait(INTERVAL):
            with self._lock:
                took = time.monotonic() - self._began
                if self._task and took >= INTERVAL * 2:
                    self._draw(took)

    def _draw(self, took: float) -> None:
        text = f"  {self._task}: {self._done} of {self._hosts} hosts, {took:.0f} s"
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[K" + self._lines.style.paint(text[:width], "quiet"))
        self._stream.flush()
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False
