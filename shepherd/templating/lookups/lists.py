"""Lookups that take lists apart or put them together: what stands behind `with_…`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.templating.lookups.asking import truth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking


def _opened(terms: Iterable[Any]) -> list[Any]:
    """The terms, lists among them opened one level."""
    found: list[Any] = []
    for term in terms:
        if isinstance(term, (list, tuple)):
            found += term
        else:
            found.append(term)
    return found


def items(terms: list[Any], _: Asking) -> list[Any]:
    return _opened(terms)


def as_given(terms: list[Any], _: Asking) -> list[Any]:
    return terms


def indexed_items(terms: list[Any], _: Asking) -> list[Any]:
    return list(enumerate(_opened(terms)))


def flattened(terms: list[Any], _: Asking) -> list[Any]:
    """All lists opened, however deep; nulls left out."""
    found: list[Any] = []
    for term in terms:
        if term is None or (isinstance(term, str) and term in ("None", "null")):
            continue
        if isinstance(term, (list, tuple)):
            found += flattened(list(term), _)
        else:
            found.append(term)
    return found


def together(terms: list[Any], _: Asking) -> list[Any]:
    """The first members, the second ones, …; null where a list has ended."""
    if not terms:
        raise TemplateError("with_together requires at least one element in each list")
    return [_opened(row) for row in itertools.zip_longest(*terms)]


def nested(terms: list[Any], _: Asking) -> list[Any]:
    """Every combination of a member of each list."""
    if not terms:
        raise TemplateError("with_nested requires at least one element in the nested list")
    columns = [term if isinstance(term, (list, tuple, str)) else [term] for term in terms]
    return [_opened(row) for row in itertools.product(*columns)]


def dictionary(terms: list[Any], _: Asking) -> list[Any]:
    """`{key, value}` for each entry of mappings."""
    found = []
    for term in terms:
        if not isinstance(term, Mapping):
            raise TemplateError("with_dict expects a dict")
        found += [{"key": key, "value": value} for key, value in term.items()]
    return found


def random_choice(terms: list[Any], _: Asking) -> list[Any]:
    return [random.choice(terms)] if terms else []  # noqa: S311  # no secret is made of it


def subelements(terms: list[Any], _: Asking) -> list[Any]:
    """Pairs of each member, without the list, and each element of the list it has under a key (`a.b` goes down)."""
    expects = "subelements lookup expects a list of two or three items"
    if not 2 <= len(terms) <= 3 or not isinstance(terms[1], str):
        raise TemplateError(expects)
    flags = terms[2] if len(terms) == 3 else {}
    if not isinstance(flags, Mapping) or not set(flags) <= {"skip_missing"}:
        raise TemplateError(f"{expects}, the optional third item must be a dict with flags skip_missing")
    skip = truth(flags.get("skip_missing", False))
    if isinstance(terms[0], Mapping):
        members = [member for member in terms[0].values() if not truth(_get(member, "skipped"))]
    elif isinstance(terms[0], (list, tuple)):
        members = [member for member in terms[0] if not truth(_get(member, "skipped"))]
    else:
        raise TemplateError(f"subelements lookup expects a dictionary, got '{terms[0]}'")
    found: list[Any] = []
    for member in members:
        if not isinstance(member, Mapping):
            raise TemplateError(f"subelements lookup expects a dictionary, got '{member}'")
        found += _pairs(member, terms[1].split("."), skip)
    return found


def _pairs(member: Mapping[str, Any], keys: list[str], skip: bool) -> list[Any]:
    rest = dict(member)
    inner: Any = rest
    for position, key in enumerate(keys):
        if key not in inner:
            if skip:
                return []
            raise TemplateError(f"could not find '{key}' key in iterated item '{inner}'")
        last = position == len(keys) - 1
        if last:
            elements = inner[key]
            if not isinstance(elements, (list, tuple)):
                raise TemplateError(f"the key {key} should point to a list, got '{elements}'")
            del inner[key]
            return [(rest, element) for element in elements]
        if not isinstance(inner[key], Mapping):
            raise TemplateError(f"the key {key} should point to a dictionary, got '{inner[key]}'")
        inner[key] = dict(inner[key])
        inner = inner[key]
    return []


def _get(member: Any, name: str) -> Any:
    return member.get(name) if isinstance(member, Mapping) else None


LOOKUPS: dict[str, Lookup] = {
    "items": items,
    "list": as_given,
    "indexed_items": indexed_items,
    "flattened": flattened,
    "together": together,
    "nested": nested,
    "cartesian": nested,
    "dict": dictionary,
    "random_choice": random_choice,
    "subelements": subelements,
}
