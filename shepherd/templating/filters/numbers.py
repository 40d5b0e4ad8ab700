"""Filters on numbers and sizes."""

from __future__ import annotations

import math
import re
from typing import Any

# powers of 1024, largest first
_UNITS = {
    "Y": 1 << 80,
    "Z": 1 << 70,
    "E": 1 << 60,
    "P": 1 << 50,
    "T": 1 << 40,
    "G": 1 << 30,
    "M": 1 << 20,
    "K": 1 << 10,
}


def logarithm(value: float, base: float = math.e) -> float:
    return math.log10(value) if base == 10 else math.log(value, base)


def power(value: float, exponent: float) -> float:
    return math.pow(value, exponent)


def root(value: float, base: float = 2) -> float:
    return math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base))


def human_readable(size: Any, isbits: bool = False, unit: str | None = None) -> str:
    """A size in the largest unit that fits, or in `unit`: 1.00 KB."""
    size = float(size)
    base = "bits" if isbits else "Bytes"
    suffix = ""
    limit = 1
    for letter, each in _UNITS.items():
        if (unit is None and size >= each) or (unit is not None and unit.upper() == letter):
            suffix, limit = letter, each
            break
    if limit != 1:
        suffix += base[0]
    return f"{size / limit:.2f} {suffix or base}"


_SIZE = re.compile(r"(\d*\.?\d*)\s*([A-Za-z]+)?\s*")
_WORDS = {
    "kilo": "K",
    "mega": "M",
    "giga": "G",
    "tera": "T",
    "peta": "P",
    "exa": "E",
    "zetta": "Z",
    "yotta": "Y",
    "": "B",
}


def human_to_bytes(size: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    """The number of bytes (or, with `isbits`, of bits) in "1.5 GB", "10M", "2Kb", "1 megabyte"."""
    match = _SIZE.fullmatch(str(size))
    if match is None or match[1] in ("", "."):
        raise ValueError(f"human_to_bytes() can't interpret following string: {size}")
    unit = match[2] or default_unit
    if not unit:
        return round(float(match[1]))
    letter = _letter(unit, isbits)
    if letter is None:
        raise ValueError(
            f"human_to_bytes() can't interpret following string: {size}; the unit is one of {', '.join(_UNITS)} or B, "
            f"alone or with {'b for bits' if isbits else 'B for bytes'} behind it"
        )
    return round(float(match[1]) * _UNITS.get(letter, 1))


def _letter(unit: str, isbits: bool) -> str | None:
    """The letter that stands for a unit, or None."""
    word = "bit" if isbits else "byte"
    if unit.lower().endswith(word) and unit.lower().removesuffix(word) in _WORDS:
        return _WORDS[unit.lower().removesuffix(word)]
    if len(unit) == 1 and unit.upper() in (*_UNITS, "B"):
        return unit.upper()
    if len(unit) == 2 and unit[0] in _UNITS and unit[1] == ("b" if isbits else "B"):
        return unit[0]
    return None


FILTERS = {
    "log": logarithm,
    "pow": power,
    "root": root,
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
}
