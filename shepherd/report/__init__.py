"""Reports: the engine's events as a person or a program wants them. Nothing here knows more than the events."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from shepherd.report.events import Event


class Report(Protocol):
    def emit(self, event: Event) -> None:
        """Take an event; called in the order things happen."""

    def close(self) -> None:
        """Nothing more comes. Leaves the terminal as it was. May be called twice."""


class Wishes(NamedTuple):
    """What the person asked for. `form`: json, plain, terminal, or None: what fits where the output goes."""

    form: str | None = None
    verbosity: int = 0
    diff: bool = False
    adhoc: bool = False
    one_line: bool = False
    tree: str | None = None  # a folder for the results


def choose(wishes: Wishes, out: IO[str] | None = None, err: IO[str] | None = None) -> Report:
    """The report for these wishes. Warnings go to `err`, all else to `out` (standard error and output)."""
    report = _form(wishes, out, err)
    if wishes.tree is None:
        return report
    from shepherd.report.tree import Tree

    return Tree(report, wishes.tree)


def _form(wishes: Wishes, out: IO[str] | None, err: IO[str] | None) -> Report:
    from shepherd.report.stream import Stream

    stream, notes = Stream(out or sys.stdout), Stream(err or sys.stderr)
    if wishes.form == "json":
        from shepherd.report.jsonlines import JsonLines

        return JsonLines(stream)
    from shepherd.report.style import Style

    terminal = wishes.form == "terminal" or (wishes.form is None and stream.isatty())
    style = Style(colour=terminal and not os.environ.get("NO_COLOR"))
    if wishes.adhoc:
        from shepherd.report.adhoc import AdHoc

        return AdHoc(stream, notes, style, wishes)
    from shepherd.report.lines import Lines

    lines = Lines(stream, notes, style, wishes)
    if terminal and os.environ.get("TERM") != "dumb":
        from shepherd.report.live import Live

        return Live(lines)
    return lines
