"""Keywords' values, once rendered: what a text means where a boolean, a number or a time is wanted."""

from __future__ import annotations

from typing import Any

from shepherd.errors import ParseError

TRUE = frozenset(("yes", "true", "on", "1", "y", "t"))


def truth(value: Any) -> bool:
    """yes or no, in any of the ways people write it; what is none of them is no."""
    if isinstance(value, str):
        return value.strip().lower() in TRUE
    return bool(value)


def whole(name: str, value: Any) -> int:
    """A whole number. Raises ParseError, which calls the keyword `name`."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ParseError(f"{name}: {value!r} is not a whole number") from None


def seconds(name: str, value: Any) -> float:
    """A time; 0 where nothing was said. Raises ParseError, which calls the keyword `name`."""
    if value is None or value == "":
        return 0.0
    try:
        return max(float(value), 0.0)
    except (TypeError, ValueError):
        raise ParseError(f"{name}: {value!r} is not a number of seconds") from None
