"""Tests on lists, mappings, numbers and truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def contains(value: Any, member: Any) -> bool:
    return member in value


def subset(value: Iterable[Any], other: Iterable[Any]) -> bool:
    other = list(other)
    return all(each in other for each in value)


def superset(value: Iterable[Any], other: Iterable[Any]) -> bool:
    return subset(other, value)


_WORDS = {
    **dict.fromkeys(["yes", "on", "true", "1", "y", "t"], True),
    **dict.fromkeys(["no", "off", "false", "0", "n", "f"], False),
}


def truthy(value: Any, convert_bool: bool = False) -> bool:
    """Whether Python takes it for true; with `convert_bool` words such as no and off count as false."""
    if convert_bool and isinstance(value, str):
        value = _WORDS.get(value.lower(), value)
    return bool(value)


def falsy(value: Any, convert_bool: bool = False) -> bool:
    return not truthy(value, convert_bool=convert_bool)


def isnan(value: Any) -> bool:
    try:
        return math.isnan(value)
    except TypeError:
        return False


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
