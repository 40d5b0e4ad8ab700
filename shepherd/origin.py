"""Where a value was written: file, line and column, carried by the value itself.

The YAML loader returns `Text`, `Sequence` and `Mapping`: ordinary str, list and dict with an `origin`. Keys of a
`Mapping` are `Text` too, so the place of a number or a boolean is the place of its key.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Origin(NamedTuple):
    """A place in a file. Lines and columns count from 1; line 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])


class Text(str):
    """A string that knows where it was written. `literal` is True for YAML's `!unsafe`: never rendered."""

    __slots__ = ("literal", "origin")
    origin: Origin
    literal: bool

    def __new__(cls, value: str, origin: Origin, literal: bool = False) -> Text:
        self = super().__new__(cls, value)
        self.origin = origin
        self.literal = literal
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Text, (str(self), self.origin, self.literal))


class Sequence(list[Any]):
    __slots__ = ("origin",)
    origin: Origin


class Mapping(dict[Any, Any]):
    __slots__ = ("origin",)
    origin: Origin


def origin_of(value: Any, key: Any = None) -> Origin | None:
    """The place of `value`, or of the entry `key` in it; None where it was not read from a file."""
    if key is not None:
        inner = value[key] if isinstance(value, dict) and key in value else None
        if isinstance(value, dict):
            for written in value:
                if written == key and isinstance(written, Text):
                    return written.origin
        found = getattr(inner, "origin", None)
        if isinstance(found, Origin):
            return found
    found = getattr(value, "origin", None)
    return found if isinstance(found, Origin) else None


def snippet(origin: Origin, around: int = 2) -> str:
    """The lines around a place, numbered, with a caret under the column; empty where the file cannot be read."""
    if not origin.line:
        return ""
    try:
        with open(origin.file, encoding="utf-8", errors="replace") as handle:
            lines = handle.read().splitlines()
    except OSError:
        return ""
    first = max(origin.line - 1 - around, 0)
    width = len(str(min(origin.line + 1, len(lines))))
    shown = []
    for number, line in enumerate(lines[first : origin.line + 1], first + 1):
        shown.append(f"  {number:>{width}} | {printable(line)}")
        if number == origin.line and origin.column:
            shown.append(f"  {' ' * width} | {' ' * (origin.column - 1)}^")
    return "\n".join(shown)


def printable(text: str) -> str:
    """`text` with control and escape characters shown as escapes, so that no file or host can drive a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
