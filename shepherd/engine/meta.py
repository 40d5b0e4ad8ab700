"""`meta`: tasks that act on the play itself. A table of what each does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.engine.execute import Execution
from shepherd.errors import ParseError, ShepherdError, nearest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shepherd.engine.cursor import Position
    from shepherd.engine.linear import Batch
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Task


async def act(batch: Batch, position: Position, task: Task, states: list[HostState]) -> None:
    """Do it for those of the hosts whose condition holds; the others step over it."""
    name = str(task.args.get("free_form", "noop"))
    action = ACTIONS.get(name)
    if action is None:
        raise ParseError(f"invalid meta action: {name}", origin=task.origin, hint=nearest(name, ACTIONS))
    meant = []
    for state in states:
        try:
            if Execution(batch.run, state, task).meant():
                meant.append(state)
            else:
                batch.cursors[state.name].advance()
        except ShepherdError as error:
            batch.give_up(state, task, error)
    if meant:
        await action(batch, position, task, meant)


async def _flush(batch: Batch, position: Position, _: Task, states: list[HostState]) -> None:
    """Run what was notified; the cursor stays here until nothing is left."""
    for state in states:
        waiting = batch.handlers.take(state.name)
        if waiting is None:
            batch.cursors[state.name].advance()
        else:
            block, numbers = waiting
            batch.cursors[state.name].insert(position, [(0, block)], numbers)


async def _noop(batch: Batch, _: Position, __: Task, states: list[HostState]) -> None:
    _advance(batch, states)


async def _end_play(batch: Batch, _: Position, __: Task, states: list[HostState]) -> None:
    batch.run.end_play = True
    await _end_batch(batch, _, __, states)


async def _end_batch(batch: Batch, _: Position, __: Task, ___: list[HostState]) -> None:
    for cursor in batch.cursors.values():
        cursor.end()


async def _end_host(batch: Batch, _: Position, __: Task, states: list[HostState]) -> None:
    for state in states:
        batch.cursors[state.name].end()
        batch.run.taking_part.ended.add(state.name)


async def _end_role(batch: Batch, _: Position, task: Task, states: list[HostState]) -> None:
    if task.role is None:
        raise ParseError("end_role outside of a role", origin=task.origin)
    for state in states:
        batch.cursors[state.name].leave_role(task.role)


async def _clear_facts(batch: Batch, _: Position, __: Task, states: list[HostState]) -> None:
    for state in states:
        state.clear_facts()
    _advance(batch, states)


async def _clear_host_errors(batch: Batch, _: Position, __: Task, states: list[HostState]) -> None:
    """Hosts that could not be reached go on where they were, or begin the play; those that failed, the next one."""
    taking_part = batch.run.taking_part
    away, taking_part.away = taking_part.away, []
    for state in away:
        if not state.failed:
            batch.join(state)
    for state in (*batch.states, *away):
        if state.failed:
            taking_part.ended.add(state.name)
        state.failed = state.unreachable = False
    _advance(batch, states)


async def _reset_connection(batch: Batch, _: Position, task: Task, states: list[HostState]) -> None:
    run = batch.run
    for state in states:
        run.connections.drop(run.router.route(state, task, run.variables.task_scope(state, task)).endpoint)
    _advance(batch, states)


async def _refresh_inventory(batch: Batch, _: Position, __: Task, states: list[HostState]) -> None:
    batch.run.reload_inventory()
    _advance(batch, states)


def _advance(batch: Batch, states: list[HostState]) -> None:
    for state in states:
        batch.cursors[state.name].advance()


ACTIONS: dict[str, Callable[[Batch, Position, Task, list[HostState]], Awaitable[None]]] = {
    "clear_facts": _clear_facts,
    "clear_host_errors": _clear_host_errors,
    "end_batch": _end_batch,
    "end_host": _end_host,
    "end_play": _end_play,
    "end_role": _end_role,
    "flush_handlers": _flush,
    "noop": _noop,
    "refresh_inventory": _refresh_inventory,
    "reset_connection": _reset_connection,
}
