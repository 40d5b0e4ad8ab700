"""Filters on a value of any type."""

from __future__ import annotations

from typing import Any

from markupsafe import soft_str

from shepherd.origin import Mapping, Sequence, Text
from shepherd.templating.native import Verbatim
from shepherd.templating.scope import Scope
from shepherd.templating.undefined import Undefined


def to_bool(value: Any) -> Any:
    """True for yes, on, true and 1; None stays None; anything else is False."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        value = value.lower()
    return value in ("yes", "on", "1", "true", 1)


def ternary(value: Any, true: Any, false: Any, none: Any = None) -> Any:
    if value is None and none is not None:
        return none
    return true if bool(value) else false


def mandatory(value: Any, msg: str | None = None) -> Any:
    if isinstance(value, Undefined):
        name = f"'{value._undefined_name}' " if value._undefined_name is not None else ""
        return Undefined(hint=str(msg) if msg is not None else f"Mandatory variable {name}not defined.")
    return value


_ANSIBLE_NAMES: dict[type, str] = {
    Text: "AnsibleUnicode",  # roles compare with these names
    Undefined: "AnsibleUndefined",
    Verbatim: "NativeJinjaText",
    Mapping: "dict",
    Sequence: "list",
    Scope: "HostVarsVars",
}


def type_debug(value: Any) -> str:
    return _ANSIBLE_NAMES.get(type(value)) or type(value).__name__


def string(value: Any) -> str:
    """Text, and text it stays: the result is never read as a list or mapping."""
    return Verbatim(soft_str(value))


FILTERS = {
    "bool": to_bool,
    "ternary": ternary,
    "mandatory": mandatory,
    "type_debug": type_debug,
    "string": string,
}
