"""The controller's half of `container_image`: it has the archive, pulls or builds, and sends what a target lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.actions import _images, _runtime
from shepherd.errors import ShepherdError, Unreachable
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from shepherd.actions._relaying import Peer, Relay
    from shepherd.engine.step import Step

PATIENCE = 3  # requests that bring nothing new before it is given up
WORTH = 1024 * 1024  # bytes: less is sent sooner than another host begins to give it
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
    if args["relay"] and not step.check and await _is_among_others(step):
        return await _relayed(step, args, image)
    result = await _sent(step, args, image, await _runtime.module(step, args))
    if step.check and result.get("changed") and not result.get("failed"):
        _images.expect(step, str(args["name"]), str(result["digest"]))
    return result


async def _sent(
    step: Step, args: dict[str, Any], image: _images.Image, result: dict[str, Any], relay: Relay | None = None
) -> dict[str, Any]:
    """What the target says at last, who said `result`; with `sent`, where there is a change.

    A relay is told of the target before that unpacks anything.
    """
    before: Any = None
    sent = tries = 0
    begun = _begun(result)  # by another host, or on another day: where that was wrong, a blob is sent anew
    while result.get("need") == "blobs":
        tries = tries + 1 if result["blobs"] == before else 0
        if tries >= PATIENCE:
            raise ShepherdError(f"{args['name']}: what is sent does not stay on the target: {before[0][0]}")
        before = result["blobs"]
        parts, content = await in_thread(_images.pieces, step.run, image, before)
        sent += sum(length for _digest, _offset, length in parts)
        begun &= _begun(result)
        given = {**args, "_parts": parts, "_begun": sorted(begun), "_whole": relay is not None}
        result = await _runtime.module(step, given, upload=content)
    if result.get("need") == "name" and relay is not None:
        await relay.has(step)
        result = await _sent(step, args, image, await _runtime.module(step, args))
        sent += result.get("sent", 0)
    if result.get("changed") and not result.get("failed") and not step.check:
        result["sent"] = sent
    return result


def _begun(result: dict[str, Any]) -> set[str]:
    """Digests of blobs of which the target has a part."""
    return {digest for digest, offset in result.get("blobs", ()) if offset}


# From other hosts


async def _is_among_others(step: Step) -> bool:
    route = await step.worked_out(step.route)
    return route.endpoint.kind == "ssh" and step.task.settings.delegate_to is None


async def _relayed(step: Step, args: dict[str, Any], image: _images.Image) -> dict[str, Any]:
    from shepherd.actions import _relaying

    async with _relaying.joined(step, image) as relay:
        relay.asked += 1
        try:
            result = await _runtime.module(step, args)
            if result.get("need") != "blobs" and not result.get("failed"):
                await relay.has(step)
        finally:
            relay.answered()
        if result.get("need") != "blobs":
            return result
        if _left(image, result["blobs"]) < WORTH:
            return await _sent(step, args, image, result)
        peer = await relay.source()
        try:
            return await _from(step, args, image, relay, peer, result)
        finally:
            relay.got()


def _left(image: _images.Image, blobs: list[list[Any]]) -> int:
    """Bytes of blobs that a target lacks, from its offsets on."""
    sizes = dict(image.blobs)
    return sum(sizes.get(digest, 0) - offset for digest, offset in blobs)


async def _from(
    step: Step,
    args: dict[str, Any],
    image: _images.Image,
    relay: Relay,
    peer: Peer | None,
    result: dict[str, Any],
) -> dict[str, Any]:
    """Get what the target lacks from a peer, and from here what does not come that way."""
    if peer is None:
        return await _sent(step, args, image, result, relay)
    fetched, refused = 0, None
    try:
        told = await relay.told(peer)
        result = await _runtime.module(step, {**args, "_peer": told, "_whole": True})
        fetched, refused = result.pop("fetched", 0), result.pop("refused", None)
        relay.judge(peer, delivered=fetched > 0)
    except Unreachable:
        raise
    except ShepherdError as error:
        refused = error.message
        relay.judge(peer, delivered=False)
    finally:
        relay.release(peer)
    result = await _sent(step, args, image, result, relay)
    if fetched:
        result["relayed"] = {"from": peer.host, "bytes": fetched}
    if refused is not None:
        warning = f"{peer.host} did not give all of {args['name']}, the rest came from the controller: {refused}"
        result["warnings"] = [*(result.get("warnings") or []), warning]
    return result
