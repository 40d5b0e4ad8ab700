"""Filters on text."""

from __future__ import annotations

import base64
import shlex
import urllib.parse
from typing import Any


def quote(value: Any) -> str:
    """As one word of a shell command."""
    return shlex.quote("" if value is None else str(value))


def split(value: str, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    return value.split(separator, maxsplit)


def _bytes(value: Any, encoding: str = "utf-8") -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(encoding, "surrogateescape")


def b64encode(value: Any, encoding: str = "utf-8") -> str:
    return base64.b64encode(_bytes(value, encoding)).decode()


def b64decode(value: Any, encoding: str = "utf-8") -> str:
    return base64.b64decode(_bytes(value)).decode(encoding, "surrogateescape")


def urldecode(value: str) -> str:
    return urllib.parse.unquote_plus(value)


def urlsplit(value: str, query: str = "") -> Any:
    """The parts of a URL, or the one that `query` names."""
    parts = urllib.parse.urlsplit(value)
    names = ("fragment", "hostname", "netloc", "password", "path", "port", "query", "scheme", "username")
    found = {name: getattr(parts, name) for name in names}
    if not query:
        return found
    if query not in found:
        raise ValueError(f"unknown part of a URL: {query}; known are {', '.join(names)}")
    return found[query]


_STYLES = {
    "plain": {"decoration": "# "},
    "erlang": {"decoration": "% "},
    "c": {"decoration": "// "},
    "cblock": {"beginning": "/*", "decoration": " * ", "end": " */"},
    "xml": {"beginning": "<!--", "decoration": " - ", "end": "-->"},
}


def comment(text: str, style: str = "plain", **options: Any) -> str:
    """`text` as a comment of a configuration file, framed by empty comment lines."""
    if style not in _STYLES:
        raise ValueError(f"unknown style {style!r}; known are {', '.join(_STYLES)}")
    chosen: dict[str, Any] = {"newline": "\n", "prefix_count": 1, "postfix_count": 1, "beginning": "", "end": ""}
    chosen |= _STYLES[style] | options
    newline, decoration = chosen["newline"], chosen["decoration"]
    prefix, postfix = chosen.get("prefix", decoration.rstrip()), chosen.get("postfix", decoration.rstrip())
    lines = [f"{decoration}{line}".rstrip() for line in str(text).split(newline)]
    parts = [chosen["beginning"] + newline if chosen["beginning"] else ""]
    parts += [f"{prefix}{newline}" * int(chosen["prefix_count"]) if prefix else ""]
    parts += [newline.join(lines)]
    parts += [f"{newline}{postfix}" * int(chosen["postfix_count"])]
    parts += [newline + chosen["end"] if chosen["end"] else ""]
    return "".join(parts)


FILTERS = {
    "quote": quote,
    "split": split,
    "b64encode": b64encode,
    "b64decode": b64decode,
    "urldecode": urldecode,
    "urlsplit": urlsplit,
    "comment": comment,
}
