"""Lookups that take lists apart or put them together: what stands behind `with_…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking


def items(terms: list[Any], asking: Asking) -> list[Any]:
    """The terms, lists among them opened one level."""
    found: list[Any] = []
    for term in terms:
        if isinstance(term, (list, tuple)):
            found += term
        else:
            found.append(term)
    return found


LOOKUPS: dict[str, Lookup] = {"items": items}
