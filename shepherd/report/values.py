"""Results as text: what matters of them, laid out to be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# Fields that say nothing to a reader who did not ask for more.
QUIET = frozenset(
    [
        "changed",
        "failed",
        "skipped",
        "unreachable",
        "invocation",
        "stdout_lines",
        "stderr_lines",
        "warnings",
        "deprecations",
        "diff",
        "start",
        "end",
        "delta",
        "ansible_loop_var",
        "ansible_index_var",
        "ansible_loop",
        "failed_when_result",
        "attempts",
        "skip_reason",
        "exception",
        "results",
        "ansible_facts",
        "include",
        "include_args",
        "include_variables",
    ]
)
FIRST = ("msg", "assertion", "evaluated_to", "cmd", "rc", "stdout", "stderr", "module_stdout", "module_stderr")
LIMIT = 4000  # characters of one value; -v shows the whole
SHORT = 100  # characters of JSON that fit on a line


def lines(result: Mapping[str, Any], *, verbosity: int = 0) -> Iterator[str]:
    """`name: value` lines of a result, the telling ones first; longer texts as indented blocks."""
    names = [name for name in FIRST if name in result]
    names += [name for name in result if name not in FIRST]
    for name in names:
        value = result[name]
        if verbosity < 1 and (name in QUIET or value in ("", None) or value == []):
            continue
        yield from entry(str(name), value, whole=verbosity > 0)
    if verbosity < 1 and result.get("exception"):
        yield "(-v shows where in the code it failed)"


def entry(name: str, value: Any, *, whole: bool = False) -> Iterator[str]:
    text = value if isinstance(value, str) else as_text(value)
    if not whole and len(text) > LIMIT:
        text = f"{text[:LIMIT]}\n… {len(text) - LIMIT} more characters: -v shows all"
    if "\n" in text:
        yield f"{name}:"
        yield from (f"  {line}" for line in text.rstrip("\n").split("\n"))
    else:
        yield f"{name}: {text}"


def as_text(value: Any) -> str:
    """A value as JSON, indented where it is large."""
    short = as_json(value)
    return short if len(short) <= SHORT else as_json(value, indent=2)


def as_json(value: Any, **form: Any) -> str:
    """JSON of any value at all; `form` is what json.dumps takes."""
    try:
        return json.dumps(value, default=plain, ensure_ascii=False, **form)
    except (TypeError, ValueError, RecursionError):  # keys of several kinds, a value within itself
        return json.dumps(plain(value), ensure_ascii=False, **form)


def plain(value: Any, depth: int = 50) -> Any:
    """What JSON has for a value that it does not know: mappings, sets, bytes, dates, keys that are no text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth and isinstance(value, Mapping):
        return {str(key): plain(inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, (list, tuple)):
        return [plain(inner, depth - 1) for inner in value]
    if depth and isinstance(value, (set, frozenset)):
        return [plain(inner, depth - 1) for inner in sorted(value, key=str)]
    return str(value) if depth else "…"
