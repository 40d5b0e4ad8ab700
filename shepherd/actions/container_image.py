"""The controller's half of `container_image`: it has the archive, pulls or builds, and sends what a target lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.actions import _images, _runtime
from shepherd.errors import ShepherdError
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from shepherd.engine.step import Step

PATIENCE = 3  # requests that bring nothing new before it is given up
REGISTRY = (
    "username",
    "password",
    "tls_ca",
    "insecure",
)  # what is told to the one who asks a registry, and nobody else


async def run(step: Step) -> dict[str, Any]:
    args = dict(step.args)
    if args["state"] == "present":
        if args["build"] is not None:
            return await _of_folder(step, args)
        if args["archive"] is not None:
            image = await _images.archive(step, step.find("files", str(args["archive"])))
            return await send(step, {**args, "_image": image.told}, image)
        if args["pull_by"] == "controller":
            return await _of_registry(step, {**args, **dict.fromkeys(REGISTRY)})
    return await _runtime.module(step, args)


async def _of_folder(step: Step, args: dict[str, Any]) -> dict[str, Any]:
    from shepherd.actions import _building

    folder = step.find("files", str(args["build"]))
    if (step.check and args["build_on"] is not None) or (args["build_on"] is None and not _building.is_possible()):
        context = None if step.check else (await in_thread(_building.packed, folder)).read()
        return await _runtime.module(step, {**args, **_building.asked(args)}, upload=context)
    image = await _building.build(step, folder)
    return await send(step, {**args, "_image": image.told}, image)


async def _of_registry(step: Step, args: dict[str, Any]) -> dict[str, Any]:
    """The target is asked first: where it has the name, no registry is."""
    result = await _runtime.module(step, args)
    if result.get("need") != "image":
        return result
    image = await _images.pulled(step, str(result["platform"]))
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
        parts, content = await in_thread(_images.pieces, step.run, image, before)
        sent += sum(length for _digest, _offset, length in parts)
        result = await _runtime.module(step, {**args, "_parts": parts}, upload=content)
    if result.get("changed") and not result.get("failed"):
        if step.check:
            _images.expect(step, str(args["name"]), str(result["digest"]))
        else:
            result["sent"] = sent
    return result
