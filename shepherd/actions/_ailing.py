"""Containers that are not well, for the recap: hosts on which a run changed containers are looked at once more at its
end, and those where a task has seen one that ails. Others cost nothing.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shepherd.engine.step import Step

PATIENCE = 10  # seconds that a host has to answer


def note(step: Step, result: Mapping[str, Any]) -> None:
    """A container module has answered."""
    if step.check or step.spec.name == "container_info":
        return
    seen = result.get("instances") or ()
    if result.get("changed") or result.get("failed") or any(map(_is_ailing, seen)):
        step.run.farewells[step.state.name] = partial(_look, step)


async def _look(step: Step) -> list[str]:
    """A sentence for each that ails now."""
    step.lane = None
    try:
        async with asyncio.timeout(PATIENCE):
            result = await step.module("container_info", {}, check=False, diff=False)
    except (ShepherdError, TimeoutError):
        return []  # the host is gone, or very busy: the recap does not wait for it
    return list(sentences(result.get("containers") or ()))


def sentences(containers: Any) -> Iterator[str]:
    for one in containers:
        if not _is_ailing(one):
            continue
        name, restarts = one["name"], one["restarts"]
        again = f", started again {restarts} time{'s' if restarts > 1 else ''}" if restarts else ""
        if one["status"] == "restarting":
            yield f"{name} is restarting{again}: it ended with {one['exit_code']}"
        elif one["status"] == "exited":
            yield f"{name} ended with {one['exit_code']}{again}"
        else:
            said = str(one.get("checks", {}).get("last", "")).strip().partition("\n")[0][:120]
            yield f"{name} is unhealthy{again}{': ' if said else ''}{said}"


def _is_ailing(one: Mapping[str, Any]) -> bool:
    """Of what was declared one that has ended badly, too."""
    failed = one["status"] == "exited" and bool(one.get("app")) and bool(one.get("exit_code"))
    return failed or one["status"] == "restarting" or one.get("health") == "unhealthy"
