"""Filters on lists and sets."""

from __future__ import annotations

import itertools
import random as randomness
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import pass_environment
from jinja2.filters import do_max, do_min, do_unique, sync_do_groupby

from shepherd.templating.undefined import Undefined

if TYPE_CHECKING:
    from shepherd.templating.environment import Environment


def flatten(value: Iterable[Any], levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    """Lists within `value` opened, `levels` deep (None: all the way)."""
    found: list[Any] = []
    for each in value:
        if skip_nulls and each in (None, "None", "null"):
            continue
        if isinstance(each, Sequence) and not isinstance(each, (str, bytes)):
            if levels is None:
                found += flatten(each, skip_nulls=skip_nulls)
            elif levels >= 1:
                found += flatten(each, levels=int(levels) - 1, skip_nulls=skip_nulls)
            else:
                found.append(each)
        else:
            found.append(each)
    return found


@pass_environment
def unique(
    environment: Environment, value: Iterable[Any], case_sensitive: bool | None = None, attribute: str | None = None
) -> list[Any]:
    """Each value once, the first time it comes. Case counts only where `case_sensitive` is true."""
    values = list(value)
    try:
        return list(do_unique(environment, values, case_sensitive=bool(case_sensitive), attribute=attribute))
    except TypeError:  # lists and mappings have no hash
        if attribute is not None:
            raise
    return _once(values)


def _once(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for each in values:
        if each not in found:
            found.append(each)
    return found


def _members(values: Iterable[Any]) -> Any:
    """Something quick to ask `in` of, where the values allow it."""
    values = list(values)
    try:
        return frozenset(values)
    except TypeError:
        return values


def _distinct(values: Iterable[Any]) -> list[Any]:
    values = list(values)
    try:
        return list(dict.fromkeys(values))
    except TypeError:
        return _once(values)


def _in(each: Any, members: Any) -> bool:
    try:
        return each in members
    except TypeError:  # each has no hash: nothing in a frozenset equals it
        return False


def intersect(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    members = _members(other)
    return [each for each in _distinct(one) if _in(each, members)]


def difference(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    members = _members(other)
    return [each for each in _distinct(one) if not _in(each, members)]


def symmetric_difference(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    one, other = list(one), list(other)
    return difference(one, other) + difference(other, one)


def union(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    return _distinct([*one, *other])


@pass_environment
def smallest(environment: Environment, value: Iterable[Any], **options: Any) -> Any:
    return do_min(environment, value, **options)


@pass_environment
def largest(environment: Environment, value: Iterable[Any], **options: Any) -> Any:
    return do_max(environment, value, **options)


@pass_environment
def groupby(environment: Environment, value: Any, attribute: str, *rest: Any, **options: Any) -> list[Any]:
    return [tuple(pair) for pair in sync_do_groupby(environment, value, attribute, *rest, **options)]


def _generator(seed: Any) -> randomness.Random:
    return randomness.SystemRandom() if seed is None else randomness.Random(seed)  # noqa: S311  # a seed is asked for


def random(end: Any, start: int | None = None, step: int | None = None, seed: Any = None) -> Any:
    """A random member of a list, or a number from `start` (0) below `end`. The same `seed` gives the same."""
    generator = _generator(seed)
    if isinstance(end, int) and not isinstance(end, bool):
        return generator.randrange(start or 0, end, step or 1)
    if isinstance(end, Undefined):
        end._fail_with_undefined_error()
    if not hasattr(end, "__iter__"):
        raise ValueError("random can only be used on sequences and integers")
    if start or step:
        raise ValueError("start and step can only be used with integer values")
    return generator.choice(end if isinstance(end, Sequence) else list(end))


def shuffle(value: Iterable[Any], seed: Any = None) -> list[Any]:
    """In random order; a value that is no list comes back as it is."""
    try:
        values = list(value)
    except TypeError:
        return value  # type: ignore[return-value]
    _generator(seed).shuffle(values)
    return values


def joined(*lists: Iterable[Any], strict: bool = False) -> list[Any]:
    return list(zip(*lists, strict=strict))


def joined_longest(*lists: Iterable[Any], fillvalue: Any = None) -> list[Any]:
    return list(itertools.zip_longest(*lists, fillvalue=fillvalue))


def product(*lists: Iterable[Any], repeat: int = 1) -> list[Any]:
    return list(itertools.product(*lists, repeat=repeat))


def permutations(value: Iterable[Any], length: int | None = None) -> list[Any]:
    return list(itertools.permutations(value, length))


def combinations(value: Iterable[Any], length: int) -> list[Any]:
    return list(itertools.combinations(value, length))


@pass_environment
def extract(environment: Environment, key: Any, container: Any, morekeys: Any = None) -> Any:
    """`container[key]`, and `morekeys` further down."""
    keys = [key] if morekeys is None else [key, *(morekeys if isinstance(morekeys, list) else [morekeys])]
    for each in keys:
        container = environment.getitem(container, each)
    return container


FILTERS = {
    "flatten": flatten,
    "unique": unique,
    "intersect": intersect,
    "difference": difference,
    "symmetric_difference": symmetric_difference,
    "union": union,
    "min": smallest,
    "max": largest,
    "groupby": groupby,
    "random": random,
    "shuffle": shuffle,
    "zip": joined,
    "zip_longest": joined_longest,
    "product": product,
    "permutations": permutations,
    "combinations": combinations,
    "extract": extract,
}
