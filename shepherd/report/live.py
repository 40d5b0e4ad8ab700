"""Lines on a terminal, and below them one that tells what is being done: the task, how many hosts, how long."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

from shepherd.report import events

if TYPE_CHECKING:
    from shepherd.report.lines import Lines

INTERVAL = 0.2  # seconds between two drawings of the line
PATIENCE = 0.4  # seconds that a task may take without the line


class Live:
    """Draws the line from a thread of its own, so that a long task shows that time passes."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._lock = threading.Lock()
        self._task = ""  # empty: nothing is drawn
        self._asking = False  # the last line is a question's, which waits for its answer
        self._began = time.monotonic()
        self._hosts: set[str] = set()  # that take part still
        self._done: set[str] = set()
        self._shown = ""  # on the screen
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="live progress", daemon=True)
        self._thread.start()

    def emit(self, event: events.Event) -> None:
        with self._lock:
            self._clear()
            self._lines.emit(event)
            self._follow(event)

    def _follow(self, event: events.Event) -> None:
        if isinstance(event, events.PlayStart):
            self._hosts, self._task = set(event.hosts), ""
        elif isinstance(event, events.TaskStart):
            self._task, self._done, self._began = event.name, set(), time.monotonic()
        elif isinstance(event, events.HostResult):
            self._done.add(event.host)
            if event.status in ("failed", "unreachable") and not event.ignored:
                self._hosts.discard(event.host)
        elif isinstance(event, events.Prompt):
            self._task, self._asking = "", not event.answered
        elif isinstance(event, events.Recap):
            self._task = ""

    @property
    def draws(self) -> bool:
        """A task is under way, and no question stands on the last line."""
        return bool(self._task) and not self._asking

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
                if self.draws and took >= PATIENCE and not self._ended.is_set():
                    self._draw(took)

    def _draw(self, took: float) -> None:
        left = sorted(self._hosts - self._done)
        waiting = f", waiting for {', '.join(left[:3])}{' …' if len(left) > 3 else ''}" if left else ""
        text = f"  {self._task}: {len(self._done)} of {len(self._hosts | self._done)} hosts, {took:.0f} s{waiting}"
        if text == self._shown:
            return
        width = shutil.get_terminal_size().columns - 1
        self._lines.out.write("\r\x1b[K" + self._lines.style.paint(text.replace("\n", " ")[:width], "quiet"))
        self._lines.out.flush()
        self._shown = text

    def _clear(self) -> None:
        if self._shown:
            self._lines.out.write("\r\x1b[K")
            self._shown = ""
