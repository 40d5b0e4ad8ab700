"""What a task's answer changes in the engine itself: facts, registered names, hosts and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shepherd.engine import vars_files
from shepherd.engine.values import truth

if TYPE_CHECKING:
    from shepherd.engine.execute import Outcome, Ran
    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Task


def keep(run: Run, outcome: Outcome, task: Task, sharing: list[HostState]) -> None:
    """Remember it for the hosts that share the outcome: one, or all of them with run_once."""
    for ran in outcome.items:
        result = ran.result
        if not result.get("failed") or outcome.ignored:
            _facts(run, task, ran, sharing)
        if "_add_host" in result:
            _add_host(run, result["_add_host"])
        if "_add_group" in result:
            _add_group(run, outcome.state, result["_add_group"])
        for name in [name for name in result if isinstance(name, str) and name.startswith("_")]:
            if name != "_include":
                del result[name]
    if task.register:
        for state in sharing:
            state.register({task.register: outcome.result})


def _facts(run: Run, task: Task, ran: Ran, sharing: list[HostState]) -> None:
    result = ran.result
    facts = result.get("ansible_facts")
    if not isinstance(facts, Mapping) or not facts:
        return
    targets = sharing
    if ran.delegate is not None and truth(task.settings.delegate_facts):
        targets = [ran.delegate]
    for state in targets:
        if task.action == "set_fact":
            state.register(facts)
            if result.get("_cacheable"):
                state.add_facts(facts)
        elif task.action == "include_vars":
            state.include(facts)
        else:
            state.add_facts(facts)
            vars_files.read_again(run, state)


def _add_host(run: Run, found: Mapping[str, Any]) -> None:
    run.inventory.add_host(found["name"], found["groups"], found["vars"])
    run.variables.refresh_inventory()


def _add_group(run: Run, state: HostState, found: Mapping[str, Any]) -> None:
    run.inventory.group_by(state.host, found["group"], found["parents"])
    run.variables.refresh_inventory()


def describe(task: Task) -> dict[str, Any]:
    """What `ansible_failed_task` tells of a task."""
    return {
        "name": task.name,
        "action": task.action,
        "args": dict(task.args),
        "register": task.register,
        "tags": sorted(task.settings.tags),
    }
