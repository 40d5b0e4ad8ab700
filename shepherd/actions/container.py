"""The controller's half of `container`: the runtime goes where it is missing; check mode knows of images to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.actions import _images, _runtime

if TYPE_CHECKING:
    from shepherd.engine.step import Step

ONE_REQUEST = True  # more of them only where the runtime is missing


async def run(step: Step) -> dict[str, Any]:
    image = _images.expected(step, str(step.args["image"])) if step.check else None
    return await _runtime.module(step, {**step.args, "_image": image})
