"""Filters on numbers and sizes."""

from __future__ import annotations

import math
import re
from typing import Any

_UNITS = {"Y": 1 << 80, "Z": 1 << 70, "E": 1 << 60, "P": 1 << 50, "T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10}


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


def human_to_bytes(size: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    """The number of bytes (or bits) in "1.5 GB", "10M", "2Kb"."""
    match = re.search(r"^\s*(\d*\.?\d*)\s*([A-Za-z]+)?", str(size))
    if match is None or not match[1]:
        raise ValueError(f"human_to_bytes() can't interpret following string: {size}")
    number = float(match[1])
    unit = match[2] if match[2] is not None else default_unit
    if not unit:
        return round(number)
    limit = _UNITS.get(unit[0].upper(), 1)
    if limit == 1 and unit[0].upper() != "B":
        raise ValueError(
            f"human_to_bytes() failed to convert {size} (unit = {unit}). The suffix must be one of "
            + ", ".join([*_UNITS, "B"])
        )
    return round(number * limit)


FILTERS = {
    "log": logarithm,
    "pow": power,
    "root": root,
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
}
