"""Filters on mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shepherd.templating.filters.lists import flatten
from shepherd.templating.undefined import Undefined

_MERGES = ("replace", "keep", "append", "prepend", "append_rp", "prepend_rp")


def combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> dict[Any, Any]:
    """Mappings merged, later ones winning; `recursive` merges inner mappings, `list_merge` says what lists do."""
    if list_merge not in _MERGES:
        raise ValueError(f"list_merge is {list_merge!r}; it can be {', '.join(_MERGES)}")
    found: dict[Any, Any] = {}
    for term in flatten(terms, levels=1):
        if isinstance(term, Undefined):
            term._fail_with_undefined_error()
        if not isinstance(term, Mapping):
            raise TypeError(f"failed to combine variables, expected dicts but got a {type(term).__name__}: {term!r}")
        found = _merged(found, term, recursive, list_merge) if found else dict(term)
    return found


def _merged(low: Mapping[Any, Any], high: Mapping[Any, Any], recursive: bool, list_merge: str) -> dict[Any, Any]:
    found = dict(low)
    if not recursive and list_merge == "replace":
        found.update(high)
        return found
    for key, value in high.items():
        old = found.get(key)
        if key not in found:
            found[key] = value
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            found[key] = _merged(old, value, recursive, list_merge) if recursive else value
        elif isinstance(old, list) and isinstance(value, list):
            found[key] = _LISTS[list_merge](old, value)
        else:
            found[key] = value
    return found


_LISTS: dict[str, Any] = {
    "replace": lambda _low, high: high,
    "keep": lambda low, _high: low,
    "append": lambda low, high: low + high,
    "prepend": lambda low, high: high + low,
    "append_rp": lambda low, high: [each for each in low if each not in high] + high,
    "prepend_rp": lambda low, high: high + [each for each in low if each not in high],
}


def dict2items(value: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise TypeError(f"dict2items requires a dictionary, got {type(value)} instead.")
    return [{key_name: key, value_name: inner} for key, inner in value.items()]


def items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise TypeError(f"items2dict requires a list, got {type(value)} instead.")
    try:
        return {each[key_name]: each[value_name] for each in value}
    except KeyError:
        raise ValueError(
            "items2dict requires each dictionary in the list to contain the keys "
            f"'{key_name}' and '{value_name}', got {value} instead."
        ) from None


def subelements(value: Any, names: Any, skip_missing: bool = False) -> list[Any]:
    """Pairs of each member and each element of the list it has under `names` (`a.b` or a list of keys)."""
    if isinstance(value, Mapping):
        members = list(value.values())
    elif isinstance(value, list):
        members = value
    else:
        raise TypeError("obj must be a list of dicts or a nested dict")
    keys = names.split(".") if isinstance(names, str) else names
    if not isinstance(keys, list):
        raise TypeError("subelements must be a list or a string")
    found = []
    for member in members:
        inner = member
        for key in keys:
            try:
                inner = inner[key]
            except KeyError:
                if skip_missing:
                    inner = []
                    break
                raise KeyError(f"could not find {key!r} key in iterated item {inner!r}") from None
            except TypeError:
                raise TypeError("the key " + key + " should point to a dictionary") from None
        if not isinstance(inner, list):
            raise TypeError(f"the key {keys[-1]!r} should point to a list, got {inner!r}")
        found += [(member, each) for each in inner]
    return found


def rekey_on_member(value: Any, key: str, duplicates: str = "error") -> dict[Any, Any]:
    """A mapping of the members by what each has under `key`."""
    if duplicates not in ("error", "overwrite"):
        raise ValueError(f"duplicates parameter to rekey_on_member has unknown value: {duplicates}")
    if isinstance(value, Mapping):
        members = list(value.values())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        members = list(value)
    else:
        raise TypeError("Type is not a valid list, set, or dict")
    found: dict[Any, Any] = {}
    for member in members:
        if not isinstance(member, Mapping):
            raise TypeError("List item is not a valid dict")
        if key not in member:
            raise KeyError(f"Key {key} was not found")
        name = member[key]
        if name in found and duplicates == "error":
            raise ValueError(f"Key {name} is not unique, cannot correctly turn into dict")
        found[name] = member
    return found


FILTERS = {
    "combine": combine,
    "dict2items": dict2items,
    "items2dict": items2dict,
    "subelements": subelements,
    "rekey_on_member": rekey_on_member,
}
