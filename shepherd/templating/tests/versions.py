"""`version`: compares versions by one of several rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# each operator as what the comparison (-1, 0 or 1) may be
_OPERATORS: dict[str, tuple[int, ...]] = {
    "==": (0,), "=": (0,), "eq": (0,),
    "<": (-1,), "lt": (-1,),
    "<=": (-1, 0), "le": (-1, 0),
    ">": (1,), "gt": (1,),
    ">=": (0, 1), "ge": (0, 1),
    "!=": (-1, 1), "<>": (-1, 1), "ne": (-1, 1),
}  # fmt: skip


def version(
    value: Any, other: Any, operator: str = "eq", strict: bool | None = None, version_type: str | None = None
) -> bool:
    """`value` compared with `other`; `version_type` is loose (the default), strict, semver (semantic) or pep440."""
    if strict is not None and version_type:
        raise ValueError("Cannot specify both 'strict' and 'version_type'")
    for each, name in ((value, "Input"), (other, "Version parameter to compare against")):
        if not each:
            raise ValueError(f"{name} {'version value ' if name == 'Input' else ''}cannot be empty")
    kind = version_type or ("strict" if strict else "loose")
    if kind not in _KINDS:
        raise ValueError(f"Invalid version type ({kind}). Must be one of {', '.join(_KINDS)}")
    if operator not in _OPERATORS:
        raise ValueError(f"Invalid operator type ({operator}). Must be one of {', '.join(_OPERATORS)}")
    try:
        one, two = _KINDS[kind](str(value)), _KINDS[kind](str(other))
        order = 0 if one == two else -1 if one < two else 1
    except (TypeError, ValueError) as error:
        raise ValueError(f"Version comparison failed: {error}") from None
    return order in _OPERATORS[operator]


_LOOSE = re.compile(r"(\d+|[a-z]+|\.)")


def _loose(text: str) -> Any:
    """Runs of digits as numbers, all else as text: comparing a number with a text fails."""
    return [int(part) if part.isdigit() else part for part in _LOOSE.split(text) if part and part != "."]


_STRICT = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?", re.ASCII)


def _strict(text: str) -> Any:
    match = _STRICT.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid version number '{text}'")
    major, minor, patch, kind, number = match.groups()
    return int(major), int(minor), int(patch or 0), (kind, int(number)) if kind else ("final", 0)


_SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def _semantic(text: str) -> Any:
    """https://semver.org/spec/v2.0.0.html, section 11: numbers before words, a release after its pre-releases."""
    match = _SEMANTIC.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid semantic version '{text}'")
    *core, before = match.groups()
    parts = before.split(".") if before else []
    return [*map(int, core)], not before, [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


_PEP440 = re.compile(
    r"\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)"  # epoch, release
    r"(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d*))?"
    r"(?:(?:-(\d+))|(?:[-_.]?(post|rev|r)[-_.]?(\d*)))?"
    r"(?:[-_.]?(dev)[-_.]?(\d*))?"
    r"(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*",
    re.ASCII | re.IGNORECASE,
)
_STAGES = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_LAST = ("~", 0)  # after every pre-release


def _pep440(text: str) -> Any:
    """PEP 440: dev releases before pre-releases, before the release, before post-releases, local versions last."""
    match = _PEP440.fullmatch(text)
    if match is None:
        raise ValueError(f"Invalid version: '{text}'")
    epoch, release, stage, stage_number, short_post, post_word, post_number, dev, dev_number, local = match.groups()
    numbers = [int(part) for part in release.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    posted = short_post is not None or post_word is not None
    post = int(short_post or post_number or 0) if posted else -1
    if stage:
        before = (_STAGES.get(stage.lower(), stage.lower()), int(stage_number or 0))
    else:
        before = ("", 0) if dev and not posted else _LAST
    parts = re.split("[-_.]", local.lower()) if local else []
    return (
        int(epoch or 0),
        numbers,
        before,
        post,
        (0, int(dev_number or 0)) if dev else (1, 0),
        [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts],
    )


_KINDS: dict[str, Callable[[str], Any]] = {
    "loose": _loose,
    "strict": _strict,
    "semver": _semantic,
    "semantic": _semantic,
    "pep440": _pep440,
}
TESTS: dict[str, Callable[..., Any]] = {"version": version, "version_compare": version}
