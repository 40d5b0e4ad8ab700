"""`version`: compares versions by one of several rules."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "eq": operator.eq,
    "<": operator.lt,
    "lt": operator.lt,
    "<=": operator.le,
    "le": operator.le,
    ">": operator.gt,
    "gt": operator.gt,
    ">=": operator.ge,
    "ge": operator.ge,
    "!=": operator.ne,
    "<>": operator.ne,
    "ne": operator.ne,
}
_LOOSE = re.compile(r"(\d+|[a-z]+|\.)", re.VERBOSE)


def _loose(text: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in _LOOSE.split(text) if part and part != "."]


def version(
    value: Any, other: Any, operator: str = "eq", strict: bool | None = None, version_type: str | None = None
) -> bool:
    """`value` compared with `other`; `version_type` is loose (the default), strict, semver or pep440."""
    if operator not in _OPERATORS:
        raise ValueError(f"Invalid operator type ({operator}). Must be one of {', '.join(_OPERATORS)}")
    return _OPERATORS[operator](_loose(str(value)), _loose(str(other)))


TESTS: dict[str, Callable[..., Any]] = {"version": version, "version_compare": version}
