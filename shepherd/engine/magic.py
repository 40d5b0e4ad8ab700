"""The variables that the engine sets itself: a table of names and how each is had, worked out when read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shepherd import __version__
from shepherd.templating import OMIT, Layer, Scope

if TYPE_CHECKING:
    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Play, Role, Task

# The language that playbooks are read in: roles compare this to decide what they may use.
LANGUAGE_VERSION = "2.18.0"


class HostVars(Mapping[str, Any]):
    """`hostvars`: each host's variables outside any task, rendered when read."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getitem__(self, name: str) -> Scope:
        state = self._run.state(name)
        if state is None:
            raise KeyError(name)
        return self._run.variables.host_scope(state)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._run.state(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.inventory.hosts)

    def __len__(self) -> int:
        return len(self._run.inventory.hosts)


class Magic(Mapping[str, Any]):
    """One task's magic variables for one host. `task` None: those of `hostvars`."""

    __slots__ = ("play", "run", "state", "task")

    def __init__(self, run: Run, state: HostState, play: Play | None, task: Task | None) -> None:
        self.run = run
        self.state = state
        self.play = play
        self.task = task

    def __getitem__(self, name: str) -> Any:
        value = TABLE[name](self)
        if value is _ABSENT:
            raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """As a dict's; most names that are asked for are not here, so the miss must be cheap."""
        read = TABLE.get(name)
        if read is None:
            return default
        value = read(self)
        return default if value is _ABSENT else value

    def __contains__(self, name: object) -> bool:
        if name not in TABLE:
            return False
        return name not in _SOMETIMES or TABLE[str(name)](self) is not _ABSENT

    def __iter__(self) -> Iterator[str]:
        return (name for name in TABLE if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def role(self) -> Role | None:
        return self.task.role if self.task else None


_ABSENT: Any = object()
_SOMETIMES: set[str] = set()


def _role(read: Callable[[Role], Any]) -> Callable[[Magic], Any]:
    return lambda magic: read(magic.role) if magic.role else _ABSENT


def _parents(read: Callable[[Role], str]) -> Callable[[Magic], Any]:
    """The roles that include or import this one, nearest first; those that merely depend on it are not meant."""

    def value(magic: Magic) -> Any:
        role = magic.role
        if role is None or not role.parents:
            return _ABSENT
        return [read(parent) for parent in role.parents[role.dependency :]]

    return value


def _play(read: Callable[[Play], Any]) -> Callable[[Magic], Any]:
    return lambda magic: read(magic.play) if magic.play else _ABSENT


def _role_names(magic: Magic, *, dependencies: bool) -> list[str]:
    if magic.play is None:
        return []
    direct = [role.name for role in magic.play.all_roles if not role.dependency]
    pulled = [role.name for role in magic.play.all_roles if role.dependency]
    return list(dict.fromkeys(pulled if dependencies else direct))


def _file(magic: Magic, part: str) -> Any:
    value = getattr(magic.state.host, part, None)
    return value if value is not None else _ABSENT


def _python(magic: Magic) -> Any:
    found = magic.run.connections.interpreter_of(magic.state.name)
    return found if found is not None else _ABSENT


TABLE: dict[str, Callable[[Magic], Any]] = {
    "inventory_hostname": lambda m: m.state.name,
    "inventory_hostname_short": lambda m: m.state.name.split(".")[0],
    "inventory_dir": lambda m: _file(m, "inventory_dir"),
    "inventory_file": lambda m: _file(m, "inventory_file"),
    "group_names": lambda m: m.run.inventory.group_names(m.state.host),
    "groups": lambda m: m.run.inventory.groups_map(),
    "hostvars": lambda m: m.run.hostvars,
    "ansible_facts": lambda m: m.state.facts,
    "omit": lambda _: OMIT,
    "playbook_dir": lambda m: m.run.playbook_dir,
    "ansible_playbook_python": lambda _: sys.executable,
    "ansible_version": lambda _: _version(),
    "shepherd_version": lambda _: __version__,
    "ansible_check_mode": lambda m: m.run.options.check,
    "ansible_diff_mode": lambda m: m.run.options.diff,
    "ansible_forks": lambda m: m.run.options.forks,
    "ansible_inventory_sources": lambda m: list(m.run.options.inventory_sources),
    "ansible_limit": lambda m: m.run.options.limit if m.run.options.limit is not None else _ABSENT,
    "ansible_run_tags": lambda m: list(m.run.options.tags),
    "ansible_skip_tags": lambda m: list(m.run.options.skip_tags),
    "ansible_verbosity": lambda m: m.run.options.verbosity,
    "ansible_config_file": lambda _: None,
    "environment": lambda m: list(m.task.settings.environment) if m.task else [],
    "discovered_interpreter_python": _python,
    "ansible_play_name": _play(lambda play: play.name),
    "ansible_play_hosts": lambda m: m.run.play_hosts(m.play, alive=True),
    "ansible_play_hosts_all": lambda m: m.run.play_hosts(m.play),
    "ansible_play_batch": lambda m: m.run.batch_hosts(m.play),
    "play_hosts": lambda m: m.run.batch_hosts(m.play),
    "ansible_play_role_names": lambda m: _role_names(m, dependencies=False),
    "ansible_dependent_role_names": lambda m: _role_names(m, dependencies=True),
    "ansible_role_names": lambda m: [*_role_names(m, dependencies=False), *_role_names(m, dependencies=True)],
    "role_names": lambda m: _role_names(m, dependencies=False),
    "role_name": _role(lambda role: role.name),
    "ansible_role_name": _role(lambda role: role.name),
    "role_path": _role(lambda role: role.path),
    "role_uuid": _role(lambda role: str(id(role))),
    "ansible_collection_name": lambda _: _ABSENT,
    "ansible_parent_role_names": _parents(lambda role: role.name),
    "ansible_parent_role_paths": _parents(lambda role: role.path),
    "ansible_search_path": lambda m: list(m.task.search_path) if m.task else [m.run.playbook_dir],
}
_SOMETIMES.update(
    [
        "inventory_dir",
        "inventory_file",
        "ansible_limit",
        "discovered_interpreter_python",
        "ansible_play_name",
        "role_name",
        "ansible_role_name",
        "role_path",
        "role_uuid",
        "ansible_collection_name",
        "ansible_parent_role_names",
        "ansible_parent_role_paths",
    ]
)


def _version() -> dict[str, Any]:
    major, minor, revision = (int(part) for part in LANGUAGE_VERSION.split("."))
    return {
        "full": LANGUAGE_VERSION,
        "string": LANGUAGE_VERSION,
        "major": major,
        "minor": minor,
        "revision": revision,
    }


def layer(run: Run, state: HostState, play: Play | None, task: Task | None) -> Layer:
    return Layer(Magic(run, state, play, task), trusted=False, name="magic variables")
