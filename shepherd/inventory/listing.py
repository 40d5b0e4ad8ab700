"""What an inventory holds, as data to print: in the form that executable inventories print, or as YAML sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shepherd.inventory.group import DEFAULT_PRIORITY, PRIORITY
from shepherd.inventory.host import Host

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from shepherd.inventory.group import Group
    from shepherd.inventory.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Listing:
    """How to list: with `export`, variables stand where they were written, not with each host that has them.
    `hosts` are those to show, None for all. `extra` are variables over all others of a host, never exported."""

    inventory: Inventory
    playbook_dir: str | None = None
    export: bool = False
    hosts: Collection[Host] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def host_vars(self, host: Host) -> dict[str, Any]:
        if self.export:
            return merged(self.inventory.own_layers(host, self.playbook_dir))
        return merged([self.extra, *self.inventory.host_layers(host, self.playbook_dir)])

    def group_vars(self, group: Group) -> dict[str, Any]:
        priority = {PRIORITY: group.priority} if group.priority != DEFAULT_PRIORITY else {}
        return merged([priority, *self.inventory.group_layers(group, self.playbook_dir)])

    def members(self, group: Group) -> list[Host]:
        """The direct members to show. Those of `all` are in `ungrouped` or elsewhere too."""
        if group is self.inventory.top:
            return []
        return group.hosts if self.hosts is None else [host for host in group.hosts if host in self.hosts]

    def as_program(self) -> dict[str, Any]:
        """As an executable inventory prints it: a flat mapping of groups, and `_meta.hostvars`."""
        hosts = self.inventory.hosts.values() if self.hosts is None else self.hosts
        found = {host.name: self.host_vars(host) for host in hosts if host.name in self.inventory.hosts}
        listed: dict[str, Any] = {"_meta": {"hostvars": {name: values for name, values in found.items() if values}}}
        for name, group in self.inventory.groups.items():
            body = {
                "hosts": [host.name for host in self.members(group)],
                "children": [child.name for child in group.children],
                "vars": self.group_vars(group) if self.export else {},
            }
            if kept := {key: value for key, value in body.items() if value}:
                listed[name] = kept
        return listed

    def as_tree(self) -> dict[str, Any]:
        """As a YAML source: groups inside each other. What comes up again has nothing in it the second time."""
        tree = self._tree(self.inventory.top, {self.inventory.top}, set())
        return {"all": tree} if tree else {}

    def _tree(self, group: Group, seen: set[Group], shown: set[Host]) -> dict[str, Any]:
        children: dict[str, Any] = {}
        for child in group.children:
            if child in seen:
                children[child.name] = {}
                continue
            seen.add(child)
            if tree := self._tree(child, seen, shown):
                children[child.name] = tree
        hosts: dict[str, Any] = {}
        for host in self.members(group):
            hosts[host.name] = {} if host in shown else self.host_vars(host)
            shown.add(host)
        body = {"children": children, "hosts": hosts, "vars": self.group_vars(group) if self.export else {}}
        return {key: value for key, value in body.items() if value}

    def graph(self, top: Group, *, with_vars: bool = False) -> Iterator[str]:
        """The lines of a drawing of `top` and all below it. Limits do not count here."""
        cache: dict[Host, list[str]] = {}
        waiting: list[tuple[int, Group | Host | list[str]]] = [(0, top)]
        while waiting:
            depth, item = waiting.pop()
            indent = "  |" * depth + "--" if depth else ""
            if isinstance(item, list):
                yield from (indent + line for line in item)
            elif isinstance(item, Host):
                yield indent + item.name
                if with_vars:
                    if item not in cache:
                        cache[item] = _pairs(self.host_vars(item))
                    waiting.append((depth + 1, cache[item]))
            else:
                yield f"{indent}@{item.name}:"
                below: list[tuple[int, Group | Host | list[str]]] = [(depth + 1, child) for child in item.children]
                below += [(depth + 1, host) for host in item.hosts if item is not self.inventory.top]
                if with_vars:
                    below.append((depth + 1, _pairs(self.group_vars(item))))
                waiting += reversed(below)


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One mapping of `layers`, highest precedence first, in the order of the names."""
    found: dict[str, Any] = {}
    for layer in reversed(list(layers)):
        found.update(layer)
    return dict(sorted(found.items(), key=lambda pair: str(pair[0])))


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{{{name} = {value}}}" for name, value in values.items()]
