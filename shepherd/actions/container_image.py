"""The controller's half of `container_image`: it has the archive, or builds, and sends what a target lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.actions import _images, _runtime
from shepherd.errors import ShepherdError
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from shepherd.engine.step import Step

PATIENCE = 3  # requests that bring nothing new before it is given up


async def run(step: Step) -> dict[str, Any]:
    args = dict(step.args)
    if args["state"] == "absent" or (args["archive"] is None and args["build"] is None):
        return await _runtime.module(step, args)
    if args["build"] is not None:
        return await _of_folder(step, args)
    image = await _images.archive(step, step.find("files", str(args["archive"])))
    return await send(step, {**args, "_image": image.told}, image)


async def _of_folder(step: Step, args: dict[str, Any]) -> dict[str, Any]:
    from shepherd.actions import _building

    folder = step.find("files", str(args["build"]))
    if not _building.is_possible():
        context = await in_thread(_building.packed, folder)
        return await _runtime.module(step, {**args, "_build": _building.words(args)}, upload=context.read())
    image = await _building.build(step, folder)
    return await send(step, {**args, "_image": image.told}, image)


async def send(step: Step, args: dict[str, Any], image: _images.Image) -> dict[str, Any]:
    """Have the target ask for the blobs it lacks until it has them all."""
    result = await _runtime.module(step, args)
    before: Any = None
    sent = tries = 0
    while result.get("need") == "blobs":
        tries = tries + 1 if result["blobs"] == before else 0
        if tries >= PATIENCE:
            raise ShepherdError(f"{args['name']}: what is sent does not stay on the target: {before[0][0]}")
        before = result["blobs"]
        parts, content = await in_thread(_images.pieces, image, before)
        sent += len(content)
        result = await _runtime.module(step, {**args, "_parts": parts}, upload=content)
    if result.get("changed") and not result.get("failed"):
        if step.check:
            _images.expect(step, str(args["name"]), str(result["digest"]))
        else:
            result["sent"] = sent
    return result
