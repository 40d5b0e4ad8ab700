"""Results as text: what matters of them, laid out to be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def lines(result: Mapping[str, Any], *, verbosity: int = 0) -> Iterator[str]:
    """`name: value` lines of a result, the telling ones first; longer texts as indented blocks."""
    names = [name for name in FIRST if name in result]
    names += [name for name in result if name not in FIRST]
    for name in names:
        value = result[name]
        if verbosity < 1 and (name in QUIET or value in ("", None) or value == []):
            continue
        yield from entry(str(name), value, whole=verbosity > 0)


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
    short = json.dumps(value, default=str, ensure_ascii=False)
    return short if len(short) <= 100 else json.dumps(value, default=str, ensure_ascii=False, indent=2)
