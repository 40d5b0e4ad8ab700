"""The filters, by file. Each file has a FILTERS table of name → function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def table() -> dict[str, Callable[..., Any]]:
    from shepherd.templating.filters import dates, dicts, hashes, lists, numbers, paths, regex, serial, text, values

    found: dict[str, Callable[..., Any]] = {}
    for part in (values, text, regex, lists, dicts, numbers, paths, dates, hashes, serial):
        found.update(part.FILTERS)
    return found
