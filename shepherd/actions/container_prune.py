"""The controller's half of `container_prune`: the runtime goes where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.actions import _runtime

if TYPE_CHECKING:
    from shepherd.engine.step import Step

ONE_REQUEST = True  # more of them only where the runtime is missing


async def run(step: Step) -> dict[str, Any]:
    return await _runtime.module(step)
