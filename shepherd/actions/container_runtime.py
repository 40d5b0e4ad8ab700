"""The controller's half of `container_runtime`: it has the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.actions import _runtime

if TYPE_CHECKING:
    from shepherd.engine.step import Step


async def run(step: Step) -> dict[str, Any]:
    return await _runtime.module(step)
