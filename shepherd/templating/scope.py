"""The variables that a template sees: a chain of layers, searched in order, rendered when read.

No merged dictionary is ever built. A value is rendered once per scope, when something first asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.errors import TemplateError, UndefinedVariable
from shepherd.origin import Origin, Text, origin_of

if TYPE_CHECKING:
    from shepherd.templating.templates import Templates

_ABSENT: Any = object()


class Layer(NamedTuple):
    """Variables of one source. What is not `trusted` (facts, results) is data and never rendered."""

    values: Mapping[str, Any]
    trusted: bool = True
    name: str = ""


class Scope(Mapping[str, Any]):
    """Layers, highest precedence first. Reading renders; the result must not be changed, since others see it too."""

    __slots__ = ("_layers", "_memo", "_reading", "templates")

    def __init__(self, layers: Iterable[Layer], templates: Templates) -> None:
        self._layers = tuple(layers)
        self.templates = templates
        self._memo: dict[str, Any] = {}
        self._reading: list[tuple[int, str]] = []  # by whom: see turns.py

    def child(self, *layers: Layer) -> Scope:
        """These layers in front of this scope's own."""
        return Scope((*layers, *self._layers), self.templates)

    def raw(self, name: str) -> Any:
        """The value as it was written. Raises KeyError."""
        for layer in self._layers:
            value = layer[0].get(name, _ABSENT)
            if value is not _ABSENT:
                return value
        raise KeyError(name)

    def __getitem__(self, name: str) -> Any:
        """The rendered value. Raises KeyError, and TemplateError where it cannot be rendered."""
        memo = self._memo
        if name in memo:
            return memo[name]
        for values, trusted, _ in self._layers:
            value = values.get(name, _ABSENT)
            if value is not _ABSENT:
                if trusted and isinstance(value, (str, dict, list, tuple)):
                    value = self._render(name, value)
                memo[name] = value
                return value
        if name == "vars":
            return Written(self)
        raise KeyError(name)

    def _render(self, name: str, value: Any) -> Any:
        reading = self._reading
        mark = get_ident(), name
        if mark in reading:
            own = [other for thread, other in reading if thread == mark[0]]
            cycle = [*own[own.index(name) :], name]
            raise TemplateError(
                f"a variable that refers to itself: {' → '.join(cycle)}",
                origin=_place(self, name),
                hint="give one of them another name; a variable cannot be made from its own value",
            )
        reading.append(mark)
        try:
            return self.templates.render(value, self)
        finally:
            reading.remove(mark)

    def known(self) -> dict[str, Any]:
        """All variables rendered; one that cannot be, because something in it is undefined, as it was written."""
        found = {}
        for name in self:
            try:
                found[name] = self[name]
            except UndefinedVariable:
                found[name] = self.raw(name)
        return found

    def __contains__(self, name: object) -> bool:
        return any(name in layer.values for layer in self._layers)

    def __iter__(self) -> Iterator[str]:
        seen: dict[str, None] = {}
        for layer in self._layers:
            seen.update(dict.fromkeys(layer.values))
        return iter(seen)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Scope of {len(self._layers)} layers>"  # never the values: they may be secret


class Written(Mapping[str, Any]):
    """The magic variable `vars`: values as they were written, not rendered, as in Ansible."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __getitem__(self, name: str) -> Any:
        return self._scope.raw(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._scope)

    def __len__(self) -> int:
        return len(self._scope)


def _place(scope: Scope, name: str) -> Origin | None:
    value = scope.raw(name)
    if isinstance(value, Text):
        return value.origin
    return origin_of(value)
