"""Tests on the results of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shepherd.templating.undefined import Undefined


def _result(name: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if not isinstance(value, Mapping):
        raise TypeError(f"The '{name}' test expects a dictionary")
    return value


def failed(value: Any) -> bool:
    return bool(_result("failed", value).get("failed", False))


def succeeded(value: Any) -> bool:
    return not failed(value)


def changed(value: Any) -> bool:
    result = _result("changed", value)
    if "changed" not in result and isinstance(result.get("results"), list):
        return any(each.get("changed", False) for each in result["results"] if isinstance(each, Mapping))
    return bool(result.get("changed", False))


def skipped(value: Any) -> bool:
    return bool(_result("skipped", value).get("skipped", False))


def unreachable(value: Any) -> bool:
    return bool(_result("unreachable", value).get("unreachable", False))


def reachable(value: Any) -> bool:
    return not bool(_result("reachable", value).get("unreachable", False))


def started(value: Any) -> bool:
    result = _result("started", value)
    return result.get("started", 0) == 1 if "started" in result else True


def finished(value: Any) -> bool:
    result = _result("finished", value)
    return result.get("finished", 0) == 1 if "finished" in result else True


def timedout(value: Any) -> Any:
    """The time that was allowed, where it ran out."""
    return (_result("timedout", value).get("timedout") or {}).get("period", False)


TESTS: dict[str, Callable[..., Any]] = {
    "failed": failed,
    "failure": failed,
    "succeeded": succeeded,
    "success": succeeded,
    "successful": succeeded,
    "changed": changed,
    "change": changed,
    "skipped": skipped,
    "skip": skipped,
    "unreachable": unreachable,
    "reachable": reachable,
    "started": started,
    "finished": finished,
    "timedout": timedout,
}
