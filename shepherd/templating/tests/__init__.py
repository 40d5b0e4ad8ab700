"""The tests (`x is …`), by file. Each file has a TESTS table of name → function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def table() -> dict[str, Callable[..., Any]]:
    from shepherd.templating.tests import collections, files, results, text, versions

    found: dict[str, Callable[..., Any]] = {}
    for part in (collections, files, results, text, versions):
        found.update(part.TESTS)
    return found
