"""Routes kept: the same task keywords and the same host lead to the same place until a variable says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.engine.routes import METHOD_VARIABLES, VARIABLES, Route, route
from shepherd.templating import is_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Role, Task
    from shepherd.templating import Scope

_NAMES = frozenset(name for names in VARIABLES.values() for name in names) | {
    "ansible_connection",
    "ansible_python_interpreter",
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    *(pattern.format(method) for pattern in METHOD_VARIABLES.values() for method in ("sudo", "su")),
}


class Router:
    """Works a route out once for each host, role and set of keywords, where nothing in it is a template."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._kept: dict[Any, Route] = {}
        self._special: dict[int, tuple[Task, bool]] = {}

    def route(self, state: HostState, task: Task, scope: Scope, *, shared: bool = True) -> Route:
        """The way to the host of `state` for `task`. `shared` False: do not keep it (delegation)."""
        if not shared or not self.is_common(task):
            return self._work_out(state, task, scope)
        settings = task.settings
        key = (
            state.name,
            state.version,
            id(task.role) if task.role else 0,
            settings.connection,
            settings.remote_user,
            settings.port,
            settings.become,
            settings.become_user,
            settings.become_method,
            settings.become_flags,
            settings.become_exe,
        )
        found = self._kept.get(key)
        if found is None:
            found = self._work_out(state, task, scope)
            if not any(name in scope and is_template(scope.raw(name)) for name in _NAMES):
                self._kept[key] = found
        return found

    def _work_out(self, state: HostState, task: Task, scope: Scope) -> Route:
        return route(state.name, scope, task.settings, self._run.templates, self._run.options)

    def is_common(self, task: Task) -> bool:
        """False where the task brings connection variables, or templated connection keywords, of its own."""
        kept = self._special.get(id(task))
        if kept is None:
            settings = task.settings
            written = (settings.connection, settings.remote_user, settings.port, settings.become, settings.become_user)
            special = any(is_template(value) for value in (*written, settings.become_method, settings.become_flags))
            layers: list[Mapping[str, Any]] = [*task.vars]
            role: Role | None = task.role
            if role is not None:
                layers += [role.params]
            special = special or any(name in _NAMES for layer in layers for name in layer)
            kept = self._special[id(task)] = (task, special)
        return not kept[1]
