"""One question to each of several hosts, outside of any play: the same variables, routes and links as a task's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from shepherd.engine.step import worked_out
from shepherd.errors import ShepherdError, Unreachable
from shepherd.origin import Origin
from shepherd.playbook.model import Play, Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.link import Link

    Question = Callable[[str, Link], Awaitable[dict[str, Any]]]
    Heard = Callable[[str, dict[str, Any]], None]

PLACE = Origin("the command line")


async def ask(run: Run, pattern: str, question: Question, heard: Heard) -> dict[str, dict[str, Any]]:
    """Ask all hosts of the pattern at the same time: their results by name, in the inventory's order.

    `heard` is called with each when it comes. What went wrong with a host is its result, as a module's would be:
    `failed` or `unreachable`, and `msg`.
    """
    states = [state for host in run.inventory.select(pattern, run.options.limit) if (state := run.state(host.name))]
    play = run.play = Play(name="", hosts=pattern, origin=PLACE, path=run.playbook_dir, gather_facts=False)
    run.variables.enter_play(play, {})
    task = Task(action="container_info", args={}, origin=PLACE)
    try:
        # not a group of tasks: what a question raises that is no error of ours (a closed pipe) goes up as it is
        answers = await asyncio.gather(*(_one(run, state, task, question, heard) for state in states))
        return {state.name: answer for state, answer in zip(states, answers, strict=True)}
    finally:
        run.connections.close()


async def _one(run: Run, state: HostState, task: Task, question: Question, heard: Heard) -> dict[str, Any]:
    try:
        run.variables.read_inventory(state)
        route = await worked_out(None, run.router.route, state, task, run.variables.task_scope(state, task))
        result = await question(state.name, await run.connections.link(route))
    except Unreachable as error:
        result = {"unreachable": True, "msg": error.render()}
    except ShepherdError as error:
        result = {"failed": True, "msg": error.render()}
    state.unreachable = bool(result.get("unreachable"))
    state.failed = bool(result.get("failed"))
    heard(state.name, result)
    return result
