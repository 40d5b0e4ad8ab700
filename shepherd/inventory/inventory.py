"""The hosts and groups that were understood, and the questions the rest of the program asks about them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from shepherd.inventory import patterns
from shepherd.inventory.group import Group, ancestry, depths
from shepherd.inventory.host import NOTHING, Host
from shepherd.inventory.names import split_port
from shepherd.inventory.variable_files import VariableFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Inventory:
    """Hosts by name, groups by name (`all` and `ungrouped` are always there), in the order they were first named.

    `sources` are the sources as given, made absolute; `directories` those with `group_vars` and `host_vars` to heed.
    `warnings` are for the user to read; they gather here, also while playing.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.groups: dict[str, Group] = {}
        self.warnings: list[str] = []
        self.sources: list[str] = []
        self.directories: list[str] = []
        self._warned: set[str] = set()
        self._files: dict[str, VariableFiles] = {}
        self._found_places: dict[str | None, list[VariableFiles]] = {}
        self._implicit: Host | None = None
        self._layers: dict[tuple[tuple[Group, ...], str | None], list[Mapping[str, Any]]] = {}
        self._sorted: dict[tuple[Group, ...], tuple[Group, ...]] = {}
        self._members: dict[Group, tuple[Host, ...]] = {}
        self.matches: dict[str, list[Host]] = {}  # of single terms, kept by `patterns`
        self._depths: dict[Group, int] = {}
        self._groups_map: dict[str, list[str]] = {}
        self.top = self.add_group("all")
        self.ungrouped = self.add_group("ungrouped")
        self.top.adopt(self.ungrouped)

    # What sources and tasks add

    def add_group(self, name: str, parents: Iterable[str] = ()) -> Group:
        """The group `name`, made where it is new, and put under `parents`. Raises ValueError for a loop."""
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(name)
            self._forget()
        for parent in parents:
            self.add_child(self.add_group(parent), group)
        return group

    def add_child(self, parent: Group, child: Group) -> None:
        """Put `child` under `parent`. Raises ValueError where that would close a loop."""
        parent.adopt(child)
        self._forget()

    def add_host(
        self,
        name: str,
        groups: Iterable[str] = (),
        vars: Mapping[str, Any] = NOTHING,  # noqa: A002 # the field's word
    ) -> Host:
        """While playing: the host `name`, made where it is new, in `groups` too, with `vars` over those it has.
        A port may stand behind the name. Raises ValueError for a name that ends in a colon."""
        name, port = split_port(name)
        host = self.place(name, self.top, vars, None, port)
        for group in groups:
            self.add_group(group).join(host)
        self.settle([host])
        return host

    def group_by(self, host: Host, group: str, parents: Iterable[str] = ()) -> bool:
        """While playing: put `host` into `group`, under `parents`. True where anything changed."""
        known = len(self.groups)
        made = self.add_group(group)
        adopted = [self.add_group(parent).adopt(made) for parent in parents]
        joined = made.join(host)
        changed = joined or any(adopted) or len(self.groups) > known
        if changed:
            self.settle([host])
        return changed

    def place(
        self, name: str, group: Group, values: Mapping[str, Any], source: str | None, port: int | None = None
    ) -> Host:
        """The host `name` as a direct member of `group`, with `values` over those it has. As in Ansible, a port
        written behind the name counts only where the host is named first."""
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = Host(name, source)
            if port is not None:
                host.vars = {"ansible_port": port}
        group.join(host)
        if values:
            host.update(values)
        return host

    def settle(self, hosts: Iterable[Host] | None = None) -> None:
        """After changes: groups without parents go under `all`, hosts (all or those given) without groups into
        `ungrouped`, and out of it when they have others."""
        self._forget()
        for group in self.groups.values():
            if not group.parents and group is not self.top:
                self.top.adopt(group)
        top, ungrouped = self.top, self.ungrouped
        left: set[Host] = set()
        for host in self.hosts.values() if hosts is None else hosts:
            groups = host.groups
            if len(groups) == 1 and groups[0] is not top:
                continue
            if ungrouped in groups:
                if any(group is not top and group is not ungrouped for group in groups):
                    host.groups = tuple(group for group in groups if group is not ungrouped)
                    left.add(host)
            elif all(group is top for group in groups):
                ungrouped.join(host)
        if left:
            ungrouped.hosts = [host for host in ungrouped.hosts if host not in left]

    def warn(self, message: str) -> None:
        """Keep `message` for the user, once."""
        if message not in self._warned:
            self._warned.add(message)
            self.warnings.append(message)

    def review(self) -> None:
        """Warn of what is understood, but seldom meant."""
        if not self.hosts:
            self.warn("there is no host in the inventory: only localhost can be reached")
        for name in sorted(self.groups.keys() & self.hosts.keys()):
            self.warn(f"a group and a host are both called {name!r}: a pattern of that name means the host")
        odd = [name for name in self.groups if not _IDENTIFIER.fullmatch(name)]
        if odd:
            names = ", ".join(map(repr, odd[:3])) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
            self.warn(f"groups that are no variable names, so that groups.NAME does not reach them: {names}")

    def _forget(self) -> None:
        for cache in (self._layers, self._sorted, self._members, self.matches, self._depths, self._groups_map):
            cache.clear()

    # What is asked

    def select(self, pattern: str | Sequence[str], limit: str | Sequence[str] | None = None) -> list[Host]:
        """The hosts that `pattern` means, in the order it names them, without those that `limit` leaves out.

        Raises ShepherdError where the limit matches no host at all, or names a file that cannot be read.
        """
        return patterns.select(self, pattern, limit)

    def host(self, name: str) -> Host | None:
        """The host of that name. The controller answers to all of LOCAL_NAMES: it is the host that the inventory has
        under one of them, else one that nobody has to write, with connection `local` and the controller's Python."""
        found = self.hosts.get(name)
        if found is None and name in LOCAL_NAMES:
            found = next((self.hosts[local] for local in LOCAL_NAMES if local in self.hosts), self._implicit)
            if found is None:
                found = self._implicit = Host(name, implicit=True)
                found.vars = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        return found

    def hosts_of(self, group: Group) -> tuple[Host, ...]:
        """The members of `group` and of all groups below it, each once: its own first, then level by level."""
        found = self._members.get(group)
        if found is None:
            below = dict.fromkeys([group])
            waiting = [group]
            for one in waiting:
                for child in one.children:
                    if child not in below:
                        below[child] = None
                        waiting.append(child)
            found = self._members[group] = tuple(dict.fromkeys(host for one in below for host in one.hosts))
        return found

    def groups_of(self, groups: tuple[Group, ...]) -> tuple[Group, ...]:
        """`groups` and all above them but `all`, lowest precedence first: by depth, priority, name."""
        found = self._sorted.get(groups)
        if found is None:
            if not self._depths:
                self._depths.update(depths(self.top))
            above = ancestry(groups)
            above.pop(self.top, None)
            found = tuple(sorted(above, key=lambda group: (self._depths[group], group.priority, group.name)))
            self._sorted[groups] = found
        return found

    def group_names(self, host: Host) -> list[str]:
        """The magic variable of that name: all groups that the host is in, directly or not, but `all`; sorted."""
        return sorted(group.name for group in self.groups_of(host.groups))

    def groups_map(self) -> Mapping[str, list[str]]:
        """The magic variable `groups`: the names of all hosts of each group."""
        if not self._groups_map:
            for name, group in self.groups.items():
                self._groups_map[name] = [host.name for host in self.hosts_of(group)]
        return self._groups_map

    # Variables

    def host_layers(self, host: Host, playbook_dir: str | None = None) -> list[Mapping[str, Any]]:
        """The mappings that hold `host`'s variables, highest precedence first. They are shared between hosts:
        read only. Files are read when first asked for; raises ParseError for those that cannot be understood."""
        return self.own_layers(host, playbook_dir) + self._inherited_layers(host.groups, playbook_dir)

    def own_layers(self, host: Host, playbook_dir: str | None = None) -> list[Mapping[str, Any]]:
        """As `host_layers`, without what comes from groups."""
        layers = [layer for files in self._places(playbook_dir) for layer in files.of_host(host.name)]
        return [*layers, host.vars] if host.vars else layers

    def group_layers(self, group: Group, playbook_dir: str | None = None) -> list[Mapping[str, Any]]:
        """The variables of one group alone, highest precedence first."""
        layers = [layer for files in self._places(playbook_dir) for layer in files.of_group(group.name)]
        return [*layers, group.vars] if group.vars else layers

    def _inherited_layers(self, groups: tuple[Group, ...], playbook_dir: str | None) -> list[Mapping[str, Any]]:
        found = self._layers.get((groups, playbook_dir))
        if found is None:
            places = self._places(playbook_dir)
            ordered = self.groups_of(groups)[::-1]
            found = [layer for files in places for group in ordered for layer in files.of_group(group.name)]
            found += [layer for files in places for layer in files.of_group("all")]
            found += [group.vars for group in (*ordered, self.top) if group.vars]
            self._layers[groups, playbook_dir] = found
        return found

    def _places(self, playbook_dir: str | None) -> list[VariableFiles]:
        """Where group_vars and host_vars may be, highest precedence first."""
        if playbook_dir not in self._found_places:
            directories = dict.fromkeys([*self.directories, playbook_dir] if playbook_dir else self.directories)
            files = [self._files_in(directory) for directory in directories]
            self._found_places[playbook_dir] = files[::-1]
        return self._found_places[playbook_dir]

    def _files_in(self, directory: str) -> VariableFiles:
        if directory not in self._files:
            self._files[directory] = VariableFiles(directory, self.warn)
        return self._files[directory]
