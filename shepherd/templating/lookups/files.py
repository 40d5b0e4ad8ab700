"""Lookups that read files of the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking


def file(terms: list[Any], asking: Asking) -> list[Any]:
    found = []
    for term in terms:
        with open(asking.find("files", str(term)), encoding="utf-8", errors="surrogateescape") as handle:
            text = handle.read()
        if asking.flag("rstrip", True):
            text = text.rstrip()
        if asking.flag("lstrip"):
            text = text.lstrip()
        found.append(text)
    return found


LOOKUPS: dict[str, Lookup] = {"file": file}
