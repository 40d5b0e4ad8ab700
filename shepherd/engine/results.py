"""What a task answered, brought into the shape that `register` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Result = dict[str, Any]

CENSORED = "the output has been hidden due to the fact that 'no_log: true' was specified for this result"
WHOLE_SECRET = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"  # noqa: S105  # a mask, not a password
KEPT = ("changed", "failed", "skipped", "unreachable", "attempts")  # of a result that must not be shown
PART_SECRET = "********"  # noqa: S105  # likewise


def complete(result: Result) -> Result:
    """Fill in what every result has: changed, failed, and the lines of its texts."""
    result.setdefault("changed", False)
    if "failed" not in result:
        result["failed"] = result.get("rc", 0) not in (0, None)
    for stream in ("stdout", "stderr"):
        text = result.get(stream)
        if isinstance(text, str) and f"{stream}_lines" not in result:
            result[f"{stream}_lines"] = text.splitlines()
    return result


def failure(message: str, **more: Any) -> Result:
    return {"changed": False, "failed": True, "msg": message, **more}


def skip(reason: str, condition: Any = None) -> Result:
    result: Result = {"changed": False, "skipped": True, "skip_reason": reason}
    if condition is not None:
        result["false_condition"] = condition
    return result


def gather_items(results: list[Result]) -> Result:
    """A loop's result, of the results of its items."""
    gathered: Result = {"results": results, "changed": any(each.get("changed") for each in results)}
    gathered["skipped"] = bool(results) and all(each.get("skipped") for each in results)
    if any(each.get("unreachable") for each in results):
        gathered["unreachable"] = True
    if any(each.get("failed") for each in results):
        gathered["failed"] = True
        gathered["msg"] = "One or more items failed"
    elif gathered["skipped"]:
        gathered["msg"] = "All items skipped"
    else:
        gathered["msg"] = "All items completed"
    if not gathered["skipped"]:
        del gathered["skipped"]
    return gathered


def shown(result: Result, *, no_log: bool) -> Result:
    """The result as events may carry it: private fields gone, and all of it where `no_log` says so."""
    if no_log:
        kept: Result = {name: result[name] for name in KEPT if name in result}
        return {"censored": CENSORED, **kept}
    return {
        name: value for name, value in result.items() if not str(name).startswith("_") and (value or name != "failed")
    }


def redact(value: Any, secrets: Iterable[str]) -> Any:
    """`value` with each of `secrets` masked wherever it stands, in keys too."""
    wanted = sorted((secret for secret in secrets if secret), key=len, reverse=True)
    return _redact(value, wanted) if wanted else value


def _redact(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        if value in secrets:
            return WHOLE_SECRET
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, PART_SECRET)
        return value
    if isinstance(value, dict):
        return {
            _redact(key, secrets) if isinstance(key, str) else key: _redact(inner, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_redact(inner, secrets) for inner in value]
    return value
