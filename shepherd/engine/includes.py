"""Files and roles included while a play runs: read once, put on the way of each host that asked for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shepherd.engine.plan import prune
from shepherd.errors import ParseError, ShepherdError
from shepherd.playbook import find_tasks, load_role, load_tasks
from shepherd.report.events import Included

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.engine.cursor import Position
    from shepherd.engine.execute import Outcome
    from shepherd.engine.linear import Batch
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Block, Task


DEPTH = 1000  # numbers in a position, two to four for each include within an include: these have no end


class _Inclusion:
    """One file or role with the same variables, and the hosts that include it."""

    def __init__(self, found: Mapping[str, Any], front: dict[str, Any], item: Any) -> None:
        self.found = found
        self.front = front
        self.item = item
        self.states: list[HostState] = []
        self.asked: list[HostState] = []


async def insert(
    batch: Batch, position: Position, task: Task, outcomes: list[Outcome], sharing: list[HostState] | None
) -> None:
    """Read what the outcomes of an include ask for, and insert it. Hosts that ask for the same share the blocks."""
    if task.action not in ("include_tasks", "include_role"):
        return
    inclusions: dict[str, _Inclusion] = {}
    for outcome in outcomes:
        if outcome.status in ("failed", "unreachable"):
            continue
        for ran in outcome.items:
            result = ran.result
            found = result.pop("_include", None)
            if found is None:
                continue
            front = _front(task, result)
            key = json.dumps([found, front], sort_keys=True, default=str)
            inclusion = inclusions.setdefault(key, _Inclusion(found, front, result.get(_loop_variable(task))))
            inclusion.asked.append(outcome.state)
            inclusion.states += sharing if sharing is not None else [outcome.state]
    ways: dict[str, list[tuple[int, Block]]] = {}
    lost: set[str] = set()  # for whom one of them cannot be read: the others are no longer on their way
    for order, inclusion in enumerate(inclusions.values()):
        block = _read(batch, position, task, inclusion)
        if block is None:
            lost.update(state.name for state in inclusion.states)
            continue
        for state in inclusion.states:
            ways.setdefault(state.name, []).append((order, block))
    for name, blocks in ways.items():
        if name not in lost:
            batch.cursors[name].insert(position, blocks)


def _read(batch: Batch, position: Position, task: Task, inclusion: _Inclusion) -> Block | None:
    run = batch.run
    found = inclusion.found
    layers = (inclusion.front,) if inclusion.front else ()
    try:
        if len(position) > DEPTH:
            raise ParseError(
                "includes without an end: this file or role includes itself again and again",
                origin=task.origin,
                hint="a condition (when) must end it",
            )
        if "role" in found:
            role, block, handlers = load_role(
                found["role"]["name"], parent=task, options=found["role"], variables=layers, loader=run.loader
            )
            batch.handlers.add(handlers)
            if found["role"]["public"]:
                run.variables.export(role)
            what = str(found["role"]["name"])
        else:
            what = find_tasks(found["file"], parent=task, loader=run.loader)
            block = load_tasks(what, parent=task, apply=found["apply"], variables=layers, loader=run.loader)
    except ShepherdError as error:
        for state in inclusion.states:  # ignore_errors is of the task, and that went well: its file or role did not
            batch.give_up(state, task, error)
        return None
    for state in inclusion.asked:
        state.counts["ok"] += 1
    run.emit(Included(what, [state.name for state in inclusion.states], inclusion.item))
    return prune(block, run.options.tags, run.options.skip_tags)


def _loop_variable(task: Task) -> str:
    return task.loop.control.loop_var if task.loop else "item"


def _front(task: Task, result: Mapping[str, Any]) -> dict[str, Any]:
    """The loop's variables, which the included tasks see."""
    if task.loop is None:
        return {}
    control = task.loop.control
    names = [
        control.loop_var,
        "ansible_loop_var",
        "ansible_index_var",
        "ansible_loop",
        *([control.index_var] if control.index_var else []),
    ]
    return {name: result[name] for name in names if name in result}
