"""Words of the engine's to the user: on standard error, so that they are in nobody's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shepherd.report.events import Message
    from shepherd.report.stream import Stream
    from shepherd.report.style import Style

# From which verbosity on a level is shown, and what stands before it.
LEVELS = {
    "warning": (0, "[WARNING]: "),
    "deprecation": (0, "[DEPRECATION WARNING]: "),
    "error": (0, "[ERROR]: "),
    "info": (1, ""),
    "debug": (3, "[DEBUG]: "),
}


def say(event: Message, out: Stream, notes: Stream, style: Style, verbosity: int) -> None:
    """Write it, if it is wanted, after all that stands before it."""
    shown_from, front = LEVELS[event.level]
    if verbosity >= shown_from:
        host = f"{event.host}: " if event.host else ""
        out.flush()
        notes.write(style.paint(f"{front}{host}{event.text}", event.level) + "\n")
        notes.flush()
