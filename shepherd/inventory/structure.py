"""Inventories written as data: group → {hosts, vars, children}, in YAML, JSON or TOML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError, ShepherdError, nearest
from shepherd.inventory.host import NOTHING
from shepherd.inventory.names import expand
from shepherd.origin import Origin, origin_of

if TYPE_CHECKING:
    from shepherd.inventory.group import Group
    from shepherd.inventory.inventory import Inventory

_KEYS = ("hosts", "vars", "children")


def parse(document: Any, file: str, inventory: Inventory) -> None:
    """Add what `document` says to `inventory`. Raises ParseError with the place in `file`."""
    if document is None:
        return
    if not isinstance(document, Mapping):
        raise ParseError(
            f"an inventory is a mapping of groups, not {kind(document)}",
            origin=origin_of(document) or Origin(file),
            hint="begin with 'all:' and put 'hosts:' or 'children:' under it",
        )
    if "plugin" in document:
        raise ParseError(
            f"inventory plugins are not supported: {document['plugin']!r}",
            origin=origin_of(document, "plugin"),
            hint="an executable that prints the hosts as JSON works",
        )
    reader = _Reader(file, inventory)
    for name, body in document.items():
        reader.group(name, body, document)


class _Reader:
    def __init__(self, file: str, inventory: Inventory) -> None:
        self.file = file
        self.inventory = inventory

    def group(self, name: Any, body: Any, around: Any) -> Group | None:
        """The group `name`, with what `body` says; None where that is no group at all, which is only warned of."""
        if body is not None and not isinstance(body, Mapping):
            place = self.place(around, name)
            self.inventory.warn(f"{place}: skipping group {name!r}: expected a mapping, got {kind(body)}")
            return None
        if not isinstance(name, str):
            hint = f"quote it: '{name}'"
            raise self.error(f"the name of a group must be text, not {kind(name)}: {name}", around, name, hint)
        group = self.inventory.add_group(str(name))
        for key, value in (body or {}).items():
            if key == "vars":
                if (written := self.mapping(key, value, body, name)) is not None:
                    group.update(written, self.file)
            elif key == "children":
                self.children(group, value, body)
            elif key == "hosts":
                self.hosts(group, value, body)
            else:
                advice = nearest(str(key), _KEYS) or "a group has hosts, vars and children"
                self.inventory.warn(f"{self.place(body, key)}: skipping {key!r} in group {name!r}: {advice}")
        return group

    def children(self, group: Group, value: Any, around: Any) -> None:
        written = self.mapping("children", value, around, group.name)
        for name, body in (written or {}).items():
            child = self.group(name, body, written)
            if child is None:
                raise self.error(f"{name!r} is no group: its value is {kind(body)}", written, name, "write a mapping")
            try:
                self.inventory.add_child(group, child)
            except ValueError as error:
                raise self.error(str(error), written, name) from None

    def hosts(self, group: Group, value: Any, around: Any) -> None:
        written = self.mapping("hosts", value, around, group.name)
        for pattern, values in (written or {}).items():
            if not isinstance(pattern, str):
                hint = f"quote it: '{pattern}'"
                raise self.error(f"the name of a host must be text, not {kind(pattern)}", written, pattern, hint)
            if values is not None and not isinstance(values, Mapping):
                hint = "write its variables as a mapping, or nothing"
                raise self.error(f"host {pattern!r} must hold a mapping, not {kind(values)}", written, pattern, hint)
            try:
                names, port = expand(str(pattern))
            except ValueError as error:
                raise self.error(str(error), written, pattern) from None
            for name in names:
                self.inventory.place(name, group, values or NOTHING, self.file, port)

    def mapping(self, key: str, value: Any, around: Any, group: str) -> Mapping[Any, Any] | None:
        """`value` as a mapping. A single name stands for itself without anything, as in `hosts: web1`."""
        if isinstance(value, str):
            return {value: None}
        if value is not None and not isinstance(value, Mapping):
            hint = "write one name a line, each with a colon behind it"
            raise self.error(f"'{key}' of group {group!r} must be a mapping, not {kind(value)}", around, key, hint)
        return value

    def place(self, around: Any, key: Any) -> Origin:
        return origin_of(around, key) or origin_of(around) or Origin(self.file)

    def error(self, message: str, around: Any, key: Any, hint: str | None = None) -> ShepherdError:
        return ParseError(message, origin=self.place(around, key), hint=hint)


_NAMES = ((str, "text"), (bool, "a boolean"), ((int, float), "a number"), (list, "a list"), (dict, "a mapping"))


def kind(value: Any) -> str:
    """What a value is, for messages."""
    return next((name for kinds, name in _NAMES if isinstance(value, kinds)), type(value).__name__)
