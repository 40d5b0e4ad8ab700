"""Values that are not there: any use of one is an error, but asking about it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.utils import missing

from shepherd.templating.scope import Scope

if TYPE_CHECKING:
    from shepherd.errors import UndefinedVariable


class Unresolved(jinja2.UndefinedError):
    """An undefined value was used. `name` is what was asked for, `owner` what it was asked of (or None)."""

    def __init__(self, name: Any, owner: Any, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.owner = owner


class Undefined(jinja2.StrictUndefined):
    """Any use raises, but its attributes and items are undefined too, so that `a.b.c is defined` can be asked."""

    __slots__ = ("cause",)

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: Any = None,
        cause: UndefinedVariable | None = None,
    ) -> None:
        chosen: Any = self._error if exc is None or exc is jinja2.UndefinedError else exc
        super().__init__(hint, obj, name, chosen)
        self.cause = cause

    def _error(self, message: str | None = None) -> Exception:
        if self.cause is not None:
            return self.cause
        owner = None if self._undefined_obj is missing else self._undefined_obj
        return Unresolved(self._undefined_name, owner, message or self._undefined_message)

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name, owner = self._undefined_name, self._undefined_obj
        if owner is missing:
            return f"{name!r} is undefined"
        if isinstance(owner, Mapping) and type(owner).__name__ == "HostVars":
            return f"\"hostvars['{name}']\" is undefined"
        kind = _kind(owner)
        if not isinstance(name, str):
            return f"{kind} has no element {name!r}"
        return f"{kind!r} has no attribute {name!r}"

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    def __repr__(self) -> str:
        raise self._error()


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    for plain in (dict, list, str):
        if isinstance(value, plain):
            return f"{plain.__name__} object"
    if isinstance(value, Scope):
        return "hostvars object"
    return f"{type(value).__name__} object"
