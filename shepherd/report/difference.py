"""A result's `diff`, as the unified diff that people know."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from shepherd.report.values import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.report.stream import Stream
    from shepherd.report.style import Style


def write(found: Any, out: Stream, style: Style) -> None:
    """Write one diff or a list of them, each with an empty line behind it. Those that show no change are left out."""
    for each in found if isinstance(found, list) else [found]:
        shown = list(_one(each, style)) if isinstance(each, dict) else []
        if shown:
            out.write("\n".join([*shown, "", ""]))


def _one(diff: dict[str, Any], style: Style) -> Iterator[str]:
    for side, whose in (("dst", "destination"), ("src", "source")):
        if f"{side}_binary" in diff:
            yield style.paint(f"diff skipped: {whose} file appears to be binary", "quiet")
        if f"{side}_larger" in diff:
            yield style.paint(f"diff skipped: {whose} file size is greater than {diff[f'{side}_larger']}", "quiet")
    if "prepared" in diff:
        yield from (_painted(line, style) for line in str(diff["prepared"]).splitlines())
    if "before" not in diff or "after" not in diff:
        return
    before, after = _text(diff["before"]), _text(diff["after"])
    if before == after:
        return
    old, new = (
        f"{side}: {diff[f'{side}_header']}" if diff.get(f"{side}_header") else side for side in ("before", "after")
    )
    unified = difflib.unified_diff(before.splitlines(True), after.splitlines(True), old, new)
    for line in unified:
        yield _painted(line.rstrip("\n"), style)
        if not line.endswith("\n"):
            yield style.paint("\\ No newline at end of file", "quiet")


def _painted(line: str, style: Style) -> str:
    kinds = {"+": "added", "-": "removed", "@": "place"}
    kind = kinds.get(line[:1])
    return style.paint(line, kind) if kind and style.colour else style.paint(line, "info") if not style.colour else line


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return as_json(value, indent=4, sort_keys=True) + "\n"
