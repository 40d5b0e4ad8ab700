"""What values look like: readers that check one and return it in one form, short and long ones alike.

A reader is given a value and its place: `reader(value, where)`. What it cannot be raises ComposeError there.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from shepherd.compose.where import Faults
from shepherd.compose.yaml_file import Override, Reset
from shepherd.errors import nearest
from shepherd.origin import Mapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping as Table

    from shepherd.compose.where import Where

    Reader = Callable[[Any, Where], Any]

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE, _FALSE = ("true", "yes", "on", "y", "1"), ("false", "no", "off", "n", "0")


def kind(value: Any) -> str:
    """What a value is, for messages."""
    if value is None:
        return "nothing"
    names = (
        (bool, "true or false"),
        (str, "a text"),
        ((int, float), "a number"),
        (dict, "a mapping"),
        (list, "a list"),
    )
    return next(
        (name for types, name in names if isinstance(value, types)), f"a value with the tag of {type(value).__name__}"
    )


def text(value: Any, where: Where) -> str:
    """A text; a number or true is meant as it is written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, str):
        raise where.error(f"should be a text, and is {kind(value)}")
    return value


def word(value: Any, where: Where) -> str:
    """A text that is not empty."""
    found = text(value, where)
    if not found.strip():
        raise where.error("should not be empty")
    return found


def maybe(reader: Reader) -> Reader:
    """What `reader` reads; an empty text, such as of a variable that nobody set, counts as not there."""
    return lambda value, where: None if value == "" else reader(value, where)


def flag(value: Any, where: Where) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise where.error(f"should be true or false, and is {kind(value)}")


def whole(value: Any, where: Where) -> int:
    """A whole number."""
    try:
        if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise where.error(f"should be a whole number, and is {_shown(value)}") from None


def count(value: Any, where: Where) -> int:
    """A whole number from 0."""
    found = whole(value, where)
    if found < 0:
        raise where.error(f"should be 0 or more, and is {found}")
    return found


def number(value: Any, where: Where) -> float:
    """A number above 0."""
    try:
        found = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 < found < float("inf"):
        raise where.error(f"should be a number above 0, such as 0.5, and is {_shown(value)}")
    return found


def size(value: Any, where: Where) -> int:
    """Bytes of 256m, 1.5gb or a number."""
    found = _SIZE.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if found is None or not float(found[1]):
        raise where.error(f"should be a size such as 256m, and is {_shown(value)}")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def seconds(value: Any, where: Where) -> float:
    """Seconds of 1m30s or 500ms."""
    written = str(value).strip()
    parts = _PARTS.findall(written)
    if written == "0":
        return 0.0
    if not parts or "".join(map("".join, parts)) != written:
        raise where.error(f"should be a time such as 1m30s, and is {_shown(value)}", "a number needs its unit")
    return round(sum(float(amount) * _SECONDS[unit] for amount, unit in parts), 6)


def _shown(value: Any) -> str:
    return repr(str(value)[:40]) if isinstance(value, (str, int, float)) else kind(value)


def choice(*words: str) -> Reader:
    """One of these."""

    def read(value: Any, where: Where) -> str:
        found = text(value, where)
        if found not in words:
            raise where.error(f"should be one of {', '.join(words)}, and is {_shown(value)}", nearest(found, words))
        return found

    return read


def strings(value: Any, where: Where) -> list[str]:
    """A list of texts; one text is a list of it."""
    if isinstance(value, list):
        return [text(one, where.into(position, one)) for position, one in enumerate(value)]
    if isinstance(value, dict) or value is None:
        raise where.error(f"should be a list, and is {kind(value)}")
    return [text(value, where)]


def words(value: Any, where: Where) -> tuple[str, ...]:
    """The words of a command: a list, or a text that is cut as a shell cuts it. A tuple: it is replaced, not merged."""
    if isinstance(value, list):
        return tuple(strings(value, where))
    try:
        return tuple(shlex.split(text(value, where)))
    except ValueError as error:
        raise where.error(f"cannot be cut into words: {error}") from None


def pairs(value: Any, where: Where) -> Mapping:
    """NAME → text or None, of a mapping or a list of NAME=value."""
    made, faults = Mapping(), Faults()
    if where.origin:
        made.origin = where.origin
    if isinstance(value, dict):
        for key, inner in value.items():
            with faults:
                made[key] = inner if inner is None or isinstance(inner, Reset) else text(inner, where.into(key, inner))
    elif isinstance(value, list):
        for position, one in enumerate(value):
            with faults:
                name, equals, rest = text(one, where.into(position, one)).partition("=")
                if not name:
                    raise where.into(position, one).error("should be NAME=value")
                made[name] = rest if equals else None
    else:
        raise where.error(f"should be a mapping or a list of NAME=value, and is {kind(value)}")
    faults.tell()
    return made


def listed(reader: Reader) -> Reader:
    """A list of what `reader` reads."""

    def read(value: Any, where: Where) -> list[Any]:
        if not isinstance(value, list):
            raise where.error(f"should be a list, and is {kind(value)}")
        made, faults = [], Faults()
        for position, one in enumerate(value):
            with faults:
                made.append(reader(one, where.into(position, one)))
        faults.tell()
        return made

    return read


def mapped(reader: Reader, nothing: Any = None) -> Reader:
    """A mapping from names to what `reader` reads, which is given `nothing` for null."""

    def read(value: Any, where: Where) -> Mapping:
        made, faults = _like(value, where), Faults()
        for key, inner in value.items():
            place = where.into(key, inner)
            with faults:
                made[key] = inner if isinstance(inner, Reset) else reader(nothing if inner is None else inner, place)
        faults.tell()
        return made

    return read


def fields(table: Table[str, Reader]) -> Reader:
    """A mapping with these fields, of which null counts as not there, and `x-…` are the writer's own."""

    def read(value: Any, where: Where) -> Mapping:
        made, faults = _like(value, where), Faults()
        for key, inner in value.items():
            if str(key).startswith("x-"):
                continue
            with faults:
                found = _field(table, key, inner, where)
                if found is not None:
                    made[key] = found
        faults.tell()
        return made

    return read


def _field(table: Table[str, Reader], key: Any, value: Any, where: Where) -> Any:
    name, place = str(key), where.into(key, value)
    if name not in table:
        raise where.into(key).error("is no field that Compose has here", nearest(name, table))
    if value is None or isinstance(value, Reset):
        return value
    if isinstance(value, Override):
        return Override(table[name](value.value, place), value.origin)
    return table[name](value, place)


def _like(value: Any, where: Where) -> Mapping:
    if not isinstance(value, dict):
        raise where.error(f"should be a mapping, and is {kind(value)}")
    made = Mapping()
    origin = getattr(value, "origin", where.origin)
    if origin:
        made.origin = origin
    return made


# Fields that are there in the specification, and not here


def unsupported(hint: str | None = None) -> Reader:
    """What would mean something that is not done: an error."""

    def read(_value: Any, where: Where) -> Any:
        raise where.error("is not supported", hint)

    return read


def meaningless(reason: str) -> Reader:
    """What has no meaning for a declared stack: the user is told."""

    def read(_value: Any, where: Where) -> None:
        where.warn(f"has no meaning here: {reason}")

    return read


def only(allowed: Any, hint: str) -> Reader:
    """One value, which is what is done anyway."""

    def read(value: Any, where: Where) -> None:
        if value != allowed:
            shown = str(allowed).lower() if isinstance(allowed, bool) else allowed
            raise where.error(f"{_shown(value)} is not supported, only {shown}", hint)

    return read
