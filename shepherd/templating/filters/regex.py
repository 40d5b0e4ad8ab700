"""Filters with regular expressions."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=512)
def _compiled(pattern: str, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    return re.compile(str(pattern), (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0))


def regex_replace(
    value: Any = "",
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
    mandatory_count: int = 0,
) -> str:
    found, number = _compiled(pattern, bool(ignorecase), bool(multiline)).subn(replacement, str(value), count=count)
    if mandatory_count and mandatory_count != number:
        raise ValueError(f"'{pattern}' should match {mandatory_count} times, but matches {number} times")
    return found


def regex_search(value: Any, pattern: str, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    r"""The first match as text, None where there is none; with groups (`\\1`, `\\g<name>`) a list of those."""
    wanted: list[int | str] = []
    for group in groups:
        if named := re.match(r"\\g<(\S+)>", group):
            wanted.append(named[1])
        elif numbered := re.match(r"\\(\d+)", group):
            wanted.append(int(numbered[1]))
        else:
            raise ValueError(f"unknown argument {group!r}: give groups as \\\\1 or \\\\g<name>")
    match = _compiled(pattern, bool(ignorecase), bool(multiline)).search(str(value))
    if match is None:
        return None
    return [match.group(group) for group in wanted] if wanted else match.group()


def regex_findall(value: Any, regex: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    return _compiled(regex, bool(ignorecase), bool(multiline)).findall(str(value))


def regex_escape(value: Any, re_type: str = "python") -> str:
    if re_type == "python":
        return re.escape(str(value))
    if re_type == "posix_basic":
        return re.sub(r"([].[^$*\\])", r"\\\1", str(value))
    raise ValueError(f"unknown kind of regular expression: {re_type}; known are python, posix_basic")


FILTERS = {
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "regex_findall": regex_findall,
    "regex_escape": regex_escape,
}
