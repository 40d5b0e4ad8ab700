"""A host of the inventory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.inventory.group import Group

NOTHING: Mapping[str, Any] = {}  # shared by all that have no variables; never written to


class Host:
    """One host. `vars` are those that its source wrote; they are replaced, never changed in place, because all hosts
    of one range share them. `groups` are the direct ones, in the order joined. `source` is the file that named the
    host first; a list of hosts as it was given; None for hosts added while playing.
    """

    __slots__ = ("groups", "implicit", "name", "source", "vars")

    def __init__(self, name: str, source: str | None = None, *, implicit: bool = False) -> None:
        self.name = name
        self.vars: Mapping[str, Any] = NOTHING
        self.groups: tuple[Group, ...] = ()
        self.source = source
        self.implicit = implicit

    def update(self, values: Mapping[str, Any]) -> None:
        """Take over `values`, over those that are there."""
        self.vars = {**self.vars, **values} if self.vars else values

    @property
    def inventory_file(self) -> str | None:
        return self.source

    @property
    def inventory_dir(self) -> str | None:
        return os.path.dirname(self.source) if self.source and self.source.startswith(os.sep) else None

    def __repr__(self) -> str:
        return f"Host({self.name!r})"
