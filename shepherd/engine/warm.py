"""Connecting ahead: while hosts shake hands, the controller reads what it needs for the tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shepherd import actions
from shepherd.errors import ShepherdError
from shepherd.playbook.model import Block, Task

if TYPE_CHECKING:
    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState


async def up(run: Run, plan: Block, states: list[HostState]) -> None:
    """Open the links of a batch, if its first task is sure to need them, and do not wait for them.

    What goes wrong here is met again, and reported, by the task itself.
    """
    task = _first(plan)
    if task is None or not _reaches_host(task):
        return
    connections = run.connections
    for state in states[: run.options.forks]:
        try:
            route = run.router.route(state, task, run.variables.task_scope(state, task))
        except ShepherdError:
            continue
        if not connections.has(route):
            connections.open_ahead(route)
    await asyncio.to_thread(run.templates.prepare)  # imports Jinja, while the loop starts the handshakes


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
    return certain and actions.find(task.action) is None
