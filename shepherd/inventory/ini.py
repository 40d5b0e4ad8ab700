"""INI inventories.

A host's line is split as a shell would split it (quotes, backslashes, `#` comments), and each value is then typed. A
line of `[group:vars]` is split at its first `=`, and what follows is typed as it stands.
"""

from __future__ import annotations

import re
from sys import intern
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError, nearest
from shepherd.inventory.host import NOTHING
from shepherd.inventory.literals import literal
from shepherd.inventory.names import expand
from shepherd.inventory.words import split
from shepherd.origin import Origin, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.inventory.group import Group
    from shepherd.inventory.inventory import Inventory

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP_NAME = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("hosts", "vars", "children")


def parse(text: str, file: str, inventory: Inventory) -> None:
    """Add what `text` says to `inventory`. Raises ParseError with the place in `file`."""
    _Reader(file, inventory).read(text)


class _Reader:
    """The line being read, and what refers to groups that may be declared further down."""

    def __init__(self, file: str, inventory: Inventory) -> None:
        self.file = file
        self.inventory = inventory
        self.line = ""
        self.number = 0
        self.children: dict[str, list[tuple[Group, Origin]]] = {}  # by the name of the child that is not there yet
        self.undeclared: dict[str, Origin] = {}  # that only a `:vars` section has named yet
        self.vars: dict[str, dict[str, Any]] = {}

    def read(self, text: str) -> None:
        group = self.inventory.groups["ungrouped"]
        values: dict[str, Any] = {}
        kind = "hosts"
        for self.number, self.line in enumerate(text.split("\n"), 1):
            line = self.line.strip()
            if not line or line[0] in "#;":
                continue
            if line[0] == "[" and (section := _SECTION.fullmatch(line)):
                name, kind = intern(section[1]), section[2] or "hosts"
                if kind not in _KINDS:
                    hint = nearest(kind, _KINDS) or "there are [group], [group:vars] and [group:children]"
                    raise self.error(f"unknown kind of section: {kind!r}", f":{kind}", hint)
                if kind == "vars":
                    values = self.vars_of(name)
                else:
                    group = self.declare(name)
            elif line[0] == "[" and line[-1] == "]":
                hint = "a group's name has no spaces, colons or brackets, as in [web] or [web:vars]"
                raise self.error(f"this is not a section: {line}", "[", hint)
            elif kind == "hosts":
                self.add_hosts(line, group)
            elif kind == "vars":
                name, equals, value = line.partition("=")
                if not equals:
                    raise self.error(f"expected name=value, got {line!r}", line)
                values[intern(name.strip())] = self.typed(value.strip(), name)
            else:
                self.add_child(line, group)
        self.settle()

    def vars_of(self, name: str) -> dict[str, Any]:
        if name not in self.inventory.groups:
            self.undeclared[name] = self.origin("[")
            self.inventory.add_group(name)
        return self.vars.setdefault(name, {})

    def declare(self, name: str) -> Group:
        self.undeclared.pop(name, None)
        group = self.inventory.add_group(name)
        for parent, origin in self.children.pop(name, ()):
            self.adopt(parent, group, origin)
        return group

    def add_child(self, line: str, parent: Group) -> None:
        found = _GROUP_NAME.fullmatch(line)
        if not found:
            raise self.error(f"expected the name of a group, got {line!r}", line, "write one group a line")
        child = self.inventory.groups.get(found[1])
        if child is None:
            self.children.setdefault(found[1], []).append((parent, self.origin(line)))
        else:
            self.adopt(parent, child, self.origin(line))

    def adopt(self, parent: Group, child: Group, origin: Origin) -> None:
        try:
            self.inventory.add_child(parent, child)
        except ValueError as error:
            raise ParseError(
                str(error), origin=origin, hint="take this line away, or the one that closes the loop"
            ) from None

    def add_hosts(self, line: str, group: Group) -> None:
        try:
            words = split(line)
        except ValueError as error:
            raise self.error(f"cannot split this line into words: {error}", line) from None
        try:
            names, port = expand(words[0])
        except ValueError as error:
            hint = "a line of [group] has nothing behind but a comment with '#'" if line[0] == "[" else None
            raise self.error(str(error), words[0], hint) from None
        values = self.host_vars(words[1:]) if len(words) > 1 else NOTHING
        place = self.inventory.place
        for name in names:
            place(name, group, values, self.file, port)

    def host_vars(self, words: list[str]) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise self.error(
                    f"expected name=value behind the host, got {word!r}",
                    word,
                    "write one host a line; quote a value that has spaces: name='two words'",
                )
            values[intern(name)] = self.typed(value, name + "=")
        return values

    def settle(self) -> None:
        """Give the groups their variables, now that all are known."""
        missing = {name: waiting[0][1] for name, waiting in self.children.items()} | self.undeclared
        for name, origin in missing.items():
            known = [group for group in self.inventory.groups if group not in (*missing, "all", "ungrouped")]
            hint = nearest(name, known) or f"declare it with a line [{name}]"
            raise ParseError(f"there is no group {name!r}", origin=origin, hint=hint)
        for name, values in self.vars.items():
            self.inventory.groups[name].update(values, self.file)

    def typed(self, value: str, near: str) -> Any:
        found = literal(value)
        return Text(found, self.origin(near)) if type(found) is str else found

    def origin(self, fragment: str) -> Origin:
        return Origin(self.file, self.number, self.line.find(fragment) + 1)

    def error(self, message: str, fragment: str, hint: str | None = None) -> ParseError:
        return ParseError(message, origin=self.origin(fragment), hint=hint)
