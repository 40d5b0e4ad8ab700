"""Connecting ahead: while hosts shake hands, the controller reads what it needs for the tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shepherd import actions, sources
from shepherd.errors import ShepherdError
from shepherd.playbook.model import Block, Task
from shepherd.spec import load_spec
from shepherd.templating import is_template
from shepherd.templating.turns import Waits, at_once
from shepherd.transport import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.sources import Source
    from shepherd.transport import Endpoint


async def up(run: Run, plan: Block, states: list[HostState]) -> None:
    """Open the links of a batch, if its first task is sure to need them, and do not wait for them.

    What goes wrong here is met again, and reported, by the task itself.
    """
    task = _first(plan)
    if task is None or not _reaches_host(task):
        return
    connections = run.connections
    endpoints: list[Endpoint] = []
    modules = list(dict.fromkeys(_certain(plan, run)))
    for state in states[: run.options.forks]:
        try:
            route = at_once(run.router.route, state, task, run.variables.task_scope(state, task))
        except (ShepherdError, Waits):
            continue
        if not connections.has(route):
            connections.open_ahead(route, modules)
            endpoints.append(route.endpoint)
    await asyncio.to_thread(_prepare, run, endpoints, modules)  # while the loop starts the handshakes


def _prepare(run: Run, endpoints: list[Endpoint], modules: list[Source]) -> None:
    """What connecting needs comes first; Jinja and the modules to be sent then fill the time that hosts take."""
    for endpoint in endpoints[:1]:
        prepare(endpoint)
    run.templates.prepare()
    for module in modules:
        for source in (*module.closure, module):
            source.packed(sources.BYTECODE)


def _certain(block: Block, run: Run) -> Iterator[Source]:
    """The modules of the tasks that no condition stands before: those are sent as soon as a link stands."""
    for item in block.tasks:
        if isinstance(item, Block):
            yield from _certain(item, run)
        elif not item.settings.when and not is_template(item.action):
            spec = load_spec(item.action, run.library)
            runs = spec.document.get("runs", spec.name)
            if spec.document.get("runs_on") != "controller":
                spec = spec if runs == spec.name else load_spec(runs, run.library)
                yield sources.module(spec.path, spec.name)


def _first(plan: Block) -> Task | None:
    for item in plan.tasks:
        if isinstance(item, Task):
            if item.action != "meta":
                return item
        elif (found := _first(item)) is not None:
            return found
    return None


def _reaches_host(task: Task) -> bool:
    settings = task.settings
    certain = not settings.when and task.loop is None and settings.delegate_to is None and settings.run_once is None
    return certain and not is_template(task.action) and actions.find(task.action) is None
