"""Host names as sources write them: ranges such as `web[01:50]`, and ports behind a colon."""

from __future__ import annotations

import itertools
import re
from string import ascii_letters
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_PORT = re.compile(r"(?:\[([^\[\]]+)\]|((?:[^:\[\]]|\[[^\[\]]*\])+)):([0-9]{1,9})")


def expand(written: str) -> tuple[Sequence[str], int | None]:
    """The names that `written` stands for, and the port behind them or None. Raises ValueError."""
    name, port = split_port(written)
    return (_expand_ranges(name) if "[" in name else [name]), port


def split_port(written: str) -> tuple[str, int | None]:
    """The name, and the port behind it or None. A bare IPv6 address has none. Raises ValueError."""
    if ":" not in written:
        return written, None
    if written.endswith(":"):
        raise ValueError(f"a host name cannot end in ':': {written!r}")
    found = _PORT.fullmatch(written)
    if not found:
        return written, None
    return found[1] or found[2], int(found[3])  # the brackets only keep an IPv6 address from its port


def _expand_ranges(written: str) -> list[str]:
    parts: list[Iterable[str]] = []
    for index, part in enumerate(_RANGE.split(written)):
        if index % 2:
            parts.append(_range(part))
        elif "[" in part or "]" in part:
            raise ValueError(f"a bracket without its other half in {written!r}")
        else:
            parts.append((part,))
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _range(inside: str) -> Iterable[str]:
    bounds = inside.split(":")
    if len(bounds) not in (2, 3):
        raise ValueError(f"a range is [begin:end] or [begin:end:step], not [{inside}]")
    begin, end = bounds[0] or "0", bounds[1]
    if not end:
        raise ValueError(f"the range [{inside}] has no end")
    step = _number(bounds[2], inside) if len(bounds) == 3 else 1
    if step < 1:
        raise ValueError(f"the step of [{inside}] must be 1 or more")
    if len(begin) == 1 and begin in ascii_letters and len(end) == 1 and end in ascii_letters:
        first, last = ascii_letters.index(begin), ascii_letters.index(end)
        if first > last:
            raise ValueError(f"the range [{inside}] ends before it begins")
        return ascii_letters[first : last + 1 : step]
    numbers = range(_number(begin, inside), _number(end, inside) + 1, step)
    if len(begin) > 1 and begin.startswith("0"):
        if len(begin) != len(end):
            raise ValueError(f"the bounds of [{inside}] must have the same number of digits, because of the leading 0")
        return (str(number).zfill(len(begin)) for number in numbers)
    return map(str, numbers)


def _number(text: str, inside: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"the bounds of [{inside}] must be two numbers or two single letters")
    return int(text)
