"""The layers of variables, in Ansible's documented order, that a task's scope is made of.

Nothing is merged or copied per task: a scope is a list of the dictionaries that exist anyway.
https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html#variable-precedence
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.engine import magic
from shepherd.templating import Layer, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Play, Role, Task


class Variables:
    """Builds scopes. Layers that do not change between tasks are made once for a host, a play or a role."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._extra = Layer(run.options.extra_vars, name="extra vars")
        self._inventory: dict[str, list[Layer]] = {}
        self._roles: dict[Role | None, tuple[list[Layer], list[Layer], list[Layer]]] = {}
        self._play: Play | None = None
        self._play_layers: list[Layer] = []  # highest first: vars_files, vars_prompt, vars
        self._prompted: Mapping[str, Any] = {}
        self._exported: list[Role] = []
        self._vars_files: dict[str, list[Layer]] = {}
        self._waiting: set[str] = set()  # hosts some of whose vars_files have names that need facts

    def enter_play(self, play: Play, prompted: Mapping[str, Any]) -> None:
        """Variables of `play` from now on; `prompted` are the answers to its vars_prompt."""
        self._play = play
        self._prompted = prompted
        self._play_layers = [Layer(prompted, trusted=False, name="vars_prompt"), Layer(play.vars, name="play vars")]
        self._exported = list(play.all_roles)
        self._roles.clear()
        self._vars_files.clear()
        self._waiting.clear()

    def export(self, role: Role) -> None:
        """A role included with `public: true`: later tasks see its variables."""
        self._exported.append(role)
        self._roles.clear()

    def set_vars_files(self, state: HostState, layers: list[Layer], *, waiting: bool = False) -> None:
        """`waiting`: some of the play's files have names that need the host's facts."""
        self._vars_files[state.name] = layers
        (self._waiting.add if waiting else self._waiting.discard)(state.name)

    def awaits_facts(self, state: HostState) -> bool:
        return state.name in self._waiting

    def refresh_inventory(self) -> None:
        self._inventory.clear()

    def read_inventory(self, state: HostState) -> None:
        """Read the host's variables now. Raises ParseError for a file that cannot be understood."""
        self._base(state)

    def host_scope(self, state: HostState) -> Scope:
        """A host's variables outside any play, as `hostvars` shows them."""
        return Scope(
            [magic.layer(self._run, state, None, None), self._extra, *self._learned(state), *self._base(state)],
            self._run.templates,
        )

    def play_scope(self, state: HostState | None, play: Play) -> Scope:
        """What is known before a play's tasks: for its name, hosts, serial, vars_files."""
        layers = [self._extra, *self._play_layers] if play is self._play else [self._extra, Layer(play.vars)]
        if state is not None:
            layers = [magic.layer(self._run, state, play, None), *layers, *self._base(state)]
        return Scope(layers, self._run.templates)

    def task_scope(self, state: HostState, task: Task, *front: Layer) -> Scope:
        """All that `task` sees on a host; `front` (a loop's item) stands before everything else."""
        role_vars, role_params, role_defaults = self._role_layers(task.role)
        return Scope(
            [
                *front,
                magic.layer(self._run, state, self._play, task),
                self._extra,
                *(Layer(values, name="params") for values in task.params),
                *role_params,
                *self._learned(state),
                *(Layer(values, name="task vars") for values in task.vars),
                *role_vars,
                *self._vars_files.get(state.name, ()),
                *self._play_layers,
                *self._base(state),
                *role_defaults,
            ],
            self._run.templates,
        )

    def _learned(self, state: HostState) -> tuple[Layer, Layer]:
        return (
            Layer(state.registered, trusted=False, name="registered and set_fact"),
            Layer(state.included, name="include_vars"),
        )

    def _base(self, state: HostState) -> list[Layer]:
        found = self._inventory.get(state.name)
        if found is None:
            found = [Layer(state.injected, trusted=False, name="facts")]
            layers = self._run.inventory.host_layers(state.host, self._run.playbook_dir)
            found += [Layer(values, name="inventory") for values in layers]
            self._inventory[state.name] = found
        return found

    def _role_layers(self, role: Role | None) -> tuple[list[Layer], list[Layer], list[Layer]]:
        """A task's role variables: its own role's before its parents', those before the play's other roles'."""
        kept = self._roles.get(role)
        if kept is None:
            chain = list(_chain(role)) if role else []
            others = [other for other in reversed(self._exported) if other not in chain]
            kept = (
                [Layer(each.vars, name="role vars") for each in (*chain, *others) if each.vars],
                [Layer(each.params, name="role params") for each in chain if each.params],
                [Layer(each.defaults, name="role defaults") for each in (*chain, *others) if each.defaults],
            )
            self._roles[role] = kept
        return kept


def _chain(role: Role) -> Iterator[Role]:
    yield role
    yield from reversed(role.dependencies)
    yield from role.parents
