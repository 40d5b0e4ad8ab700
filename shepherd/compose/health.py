"""`healthcheck` of a service, as `container` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.compose import shape

if TYPE_CHECKING:
    from shepherd.compose.where import Where


def _test(value: Any, where: Where) -> tuple[str, ...]:
    """("NONE",), ("CMD-SHELL", text) or ("CMD", word, …)"""
    if not isinstance(value, list):
        return ("CMD-SHELL", shape.word(value, where))
    found = tuple(shape.strings(value, where))
    if found[:1] not in (("NONE",), ("CMD",), ("CMD-SHELL",)):
        raise where.error("should begin with CMD, CMD-SHELL or NONE, or be one text")
    if (found[0] == "NONE") != (len(found) == 1) or (found[0] == "CMD-SHELL" and len(found) > 2):
        raise where.error("NONE stands alone, CMD-SHELL has one text and CMD has words behind it")
    return found


_FIELDS = {
    "test": _test,
    "interval": shape.seconds,
    "timeout": shape.seconds,
    "retries": shape.count,
    "start_period": shape.seconds,
    "start_interval": shape.seconds,
    "disable": shape.flag,
}
healthcheck = shape.fields(_FIELDS)


def declared(found: dict[str, Any]) -> dict[str, Any] | None:
    """The option `health` of `container`."""
    test = found.get("test")
    if found.get("disable") or test == ("NONE",):
        return {"disable": True}
    made: dict[str, Any] = {name: found[name] for name in _FIELDS if name in found and name not in ("test", "disable")}
    if test:
        made.update({"command": test[1]} if test[0] == "CMD-SHELL" else {"exec": list(test[1:])})
    return made or None
