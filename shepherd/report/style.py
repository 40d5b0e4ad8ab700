"""Colours for a terminal: one table by what is said."""

from __future__ import annotations

from shepherd.origin import printable

COLOURS = {
    "ok": "32",
    "changed": "33",
    "failed": "31",
    "unreachable": "1;31",
    "skipped": "36",
    "ignored": "34",
    "rescued": "34",
    "included": "36",
    "retry": "90",
    "heading": "1",
    "quiet": "90",
    "warning": "1;35",
    "deprecation": "35",
    "debug": "90",
    "info": "0",
    "none": "0",
    "error": "1;31",
    "added": "32",
    "removed": "31",
    "place": "36",
}


class Style:
    """Paints text, or leaves it as it is where colour is off. Whatever hosts said is made printable first."""

    def __init__(self, *, colour: bool) -> None:
        self.colour = colour

    def paint(self, text: str, what: str) -> str:
        text = printable(text)
        code = COLOURS.get(what, "0")
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code != "0" else text
