"""Warnings: from wherever they come, each is said once, as an event like all others."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

from shepherd.report.events import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shepherd.report import Report
    from shepherd.report.events import Event

LEVELS = ("warning", "deprecation")


class Notices:
    """A report that drops warnings it has passed on already, and hears those of Python's `warnings` while it is open.

    What reads files and templates knows no report: it uses `warnings.warn`. A warning by another package is no word
    to the user; Python's own settings decide of it.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._said: set[tuple[str, str]] = set()
        self._kept: Any = None
        self._watched: Callable[[], Sequence[object]] = tuple
        self._seen: tuple[int, int] = (0, 0)

    def __enter__(self) -> Self:
        self._kept = warnings.catch_warnings()
        self._kept.__enter__()
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if category.__module__.startswith("shepherd."):
                level = "deprecation" if issubclass(category, DeprecationWarning) else "warning"
                self.emit(Message(level, str(message)))
            else:
                shown(message, category, *place, **more)

        warnings.showwarning = show
        warnings.filterwarnings("always", module=r"shepherd\b|yaml\b")
        return self

    def __exit__(self, *_: object) -> None:
        self._look()
        self._kept.__exit__(None, None, None)
        self._report.close()

    def emit(self, event: Event) -> None:
        self._look()
        self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, Message) and event.level in LEVELS:
            if (event.level, event.text) in self._said:
                return
            self._said.add((event.level, event.text))
        self._report.emit(event)

    def warn(self, texts: Iterable[object]) -> None:
        """Say what has been collected elsewhere; what was said before is left out."""
        for text in texts:
            self._pass_on(Message("warning", str(text)))

    def watch(self, texts: Callable[[], Sequence[object]]) -> None:
        """Say the warnings that a list holds, and from now on those that join it, before the next event."""
        self._watched = texts
        self._look()

    def withhold(self, texts: Iterable[object]) -> None:
        """Never say these."""
        self._said.update(("warning", str(text)) for text in texts)

    def _look(self) -> None:
        texts = self._watched()
        now = (id(texts), len(texts))
        if now != self._seen:
            self._seen = now
            self.warn(list(texts))

    def close(self) -> None:
        self._report.close()
