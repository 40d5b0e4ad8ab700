"""Reports: the engine's events as a person or a program wants them. Nothing here knows more than the events."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shepherd.report.events import Event


class Report(Protocol):
    def emit(self, event: Event) -> None:
        """Take an event; called in the order things happen."""

    def close(self) -> None:
        """Nothing more comes. Leaves the terminal as it was."""


def choose(form: str | None, stream: IO[str] | None = None, *, verbosity: int = 0, diff: bool = False) -> Report:
    """The report for `form` (json, plain, terminal), or None: what fits the stream."""
    stream = stream or sys.stdout
    if form == "json":
        from shepherd.report.jsonlines import JsonLines

        return JsonLines(stream)
    from shepherd.report.lines import Lines
    from shepherd.report.style import Style

    terminal = form == "terminal" or (form is None and stream.isatty())
    lines = Lines(stream, Style(colour=terminal and "NO_COLOR" not in os.environ), verbosity=verbosity, diff=diff)
    if terminal and os.environ.get("TERM") != "dumb":
        from shepherd.report.live import Live

        return Live(lines, stream)
    return lines


def adhoc(*, verbosity: int = 0, diff: bool = False, one_line: bool = False) -> Report:
    """The report of `shepherd run`: each host's answer, without plays and tasks around it."""
    from shepherd.report.adhoc import AdHoc
    from shepherd.report.style import Style

    style = Style(colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    return AdHoc(sys.stdout, style, verbosity=verbosity, diff=diff, one_line=one_line)
