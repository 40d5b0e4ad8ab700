"""Tests on text: regular expressions and addresses."""

from __future__ import annotations

import re
import urllib.parse
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@lru_cache(maxsize=512)
def _compiled(pattern: str, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    return re.compile(pattern, (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0))


def regex(
    value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False, match_type: str = "search"
) -> bool:
    found = getattr(_compiled(pattern, bool(ignorecase), bool(multiline)), match_type)(str(value))
    return found is not None


def match(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return regex(value, pattern, ignorecase, multiline, "match")


def search(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return regex(value, pattern, ignorecase, multiline, "search")


def uri(value: Any, schemes: Iterable[str] | None = None) -> bool:
    """Whether it can be read as a URI (RFC 3986), of one of the `schemes` where they are given."""
    try:
        parts = urllib.parse.urlparse(value)
    except (ValueError, AttributeError, TypeError):
        return False
    return not schemes or parts.scheme in schemes


def url(value: Any, schemes: Iterable[str] | None = None) -> bool:
    if not uri(value, schemes):
        return False
    parts = urllib.parse.urlparse(value)
    return bool(parts.netloc or parts.scheme == "file")


def urn(value: str) -> bool:
    return uri(value, ["urn"])


TESTS: dict[str, Callable[..., Any]] = {
    "regex": regex,
    "match": match,
    "search": search,
    "uri": uri,
    "url": url,
    "urn": urn,
}
