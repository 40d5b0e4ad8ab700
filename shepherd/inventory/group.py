"""A group of hosts and of other groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError
from shepherd.inventory.host import NOTHING
from shepherd.origin import Origin, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shepherd.inventory.host import Host

PRIORITY = "ansible_group_priority"
DEFAULT_PRIORITY = 1


class Group:
    """One group. `hosts` are the direct members; `Inventory.hosts_of` also gives those of its children.

    `priority` decides between groups of one depth: the higher one's variables win, then the name that sorts later.
    """

    __slots__ = ("alone", "children", "hosts", "name", "parents", "priority", "vars")

    def __init__(self, name: str) -> None:
        self.name = name
        self.vars: Mapping[str, Any] = NOTHING
        self.hosts: list[Host] = []
        self.children: list[Group] = []
        self.parents: list[Group] = []
        self.priority = DEFAULT_PRIORITY
        self.alone = (self,)  # shared by all hosts that are in this group only

    def join(self, host: Host) -> bool:
        """Make `host` a direct member. False where it is one already."""
        if not host.groups:
            host.groups = self.alone
        elif self in host.groups:
            return False
        else:
            host.groups += self.alone
        self.hosts.append(host)
        return True

    def adopt(self, child: Group) -> bool:
        """Make `child` a child group. False where it is one already. Raises ValueError for a loop."""
        if child is self:
            raise ValueError(f"group {self.name!r} cannot be its own child")
        if child.name == "all":
            raise ValueError("'all' has every group in it: it cannot be the child of one")
        if self in child.parents:
            return False
        if child.children and child in ancestry([self]):
            raise ValueError(f"group {child.name!r} as a child of {self.name!r} closes a loop: it is above it already")
        self.children.append(child)
        child.parents.append(self)
        return True

    def update(self, values: Mapping[str, Any], source: str) -> None:
        """Take over variables, read from the file `source`. `ansible_group_priority` is none of them: it sets the
        priority. Raises ParseError where that is no number."""
        if PRIORITY in values:
            values = dict(values)
            written = values.pop(PRIORITY)
            try:
                self.priority = int(written)
            except (TypeError, ValueError):
                raise ParseError(
                    f"{PRIORITY} of group {self.name!r} must be a whole number, not {written!r}",
                    origin=origin_of(written) or Origin(source),
                ) from None
        self.vars = {**self.vars, **values} if self.vars else values

    def __repr__(self) -> str:
        return f"Group({self.name!r})"


def ancestry(groups: Iterable[Group]) -> dict[Group, None]:
    """`groups` and all groups above them, each once, nearest first."""
    found = dict.fromkeys(groups)
    waiting = list(found)
    for group in waiting:
        for parent in group.parents:
            if parent not in found:
                found[parent] = None
                waiting.append(parent)
    return found


def depths(top: Group) -> dict[Group, int]:
    """How far each group is below `top`, by the longest way."""
    found = {top: 0}
    above: dict[Group, int] = {}  # how many parents have not been settled yet
    reached = dict.fromkeys([top])
    waiting = [top]
    for group in waiting:
        for child in group.children:
            above[child] = above.get(child, 0) + 1
            if child not in reached:
                reached[child] = None
                waiting.append(child)
    ready = [top]
    for group in ready:
        for child in group.children:
            found[child] = max(found.get(child, 0), found[group] + 1)
            above[child] -= 1
            if not above[child]:
                ready.append(child)
    return found
