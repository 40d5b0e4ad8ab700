"""Tests on lists, mappings, numbers and truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any



def contains(value: Any, member: Any) -> bool:
    return member in value


def subset(value: Iterable[Any], other: Iterable[Any]) -> bool:
    other = list(other)
    return all(each in other for each in value)


def superset(value: Iterable[Any], other: Iterable[Any]) -> bool:
    return subset(other, value)


def truthy(value: Any, convert_bool: bool = False) -> bool:
    """Whether Python takes it for true; with `convert_bool`, whether it says yes, on, true or 1."""
    if convert_bool:
        try:
            value = _converted(value)
        except TypeError:
            pass
    return bool(value)


def _converted(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("yes", "on", "true", "1", "y", "t", "no", "off", "false", "0", "n", "f"):
        return value.lower() in ("yes", "on", "true", "1", "y", "t")
    return value


def falsy(value: Any, convert_bool: bool = False) -> bool:
    return not truthy(value, convert_bool=convert_bool)


def isnan(value: Any) -> bool:
    return math.isnan(value)


TESTS: dict[str, Callable[..., Any]] = {
    "contains": contains,
    "subset": subset,
    "issubset": subset,
    "superset": superset,
    "issuperset": superset,
    "all": all,
    "any": any,
    "truthy": truthy,
    "falsy": falsy,
    "nan": isnan,
    "isnan": isnan,
}
