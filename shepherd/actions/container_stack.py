"""The controller's half of `container_stack`: it reads the Compose file, builds images, and sends what is mounted."""

from __future__ import annotations

import copy
import os
import re
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from shepherd.actions import _images, _runtime, container_image
from shepherd.errors import ParseError, ShepherdError
from shepherd.spec import load_spec
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from shepherd.compose.declare import Stack
    from shepherd.engine.run import Run
    from shepherd.engine.step import Step

PLACE = "/etc/shepherd/stacks"  # on the target, as shepherd/remote/sent.py has it
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

# What a run has read: by name, files, folder, profiles and variables; with what is to be said of it
_known: WeakKeyDictionary[Run, dict[tuple[Any, ...], tuple[Stack, list[str]]]] = WeakKeyDictionary()


async def run(step: Step) -> dict[str, Any]:
    args = step.args
    if not _NAME.fullmatch(args["name"]):
        raise ShepherdError(
            f"name: {args['name'][:60]!r} is none for a stack", hint="lower case letters, digits and _ - make one"
        )
    given: dict[str, Any] = {**args, "_absent": _absent()}
    if args["state"] == "absent":
        return await _runtime.module(step, given)
    stack = await _stack(step)
    given["_stack"] = _told(step, stack)
    built = await _build(step, stack)
    failed = next((result for result in built if result.get("failed")), None)
    if failed:
        return failed
    if step.check:
        names = {one["options"]["image"] for one in stack.services}
        given["_expected"] = {name: _images.expected(step, name) for name in names}
    result = await _runtime.module(step, given)
    if result.get("need") == "files":
        step.several_requests()
        items = [stack.items[name] for name in result["files"] if name in stack.items]
        result = await _runtime.module(step, given, upload=await in_thread(_packed, items))
    return _joined(step, result, built)


async def _stack(step: Step) -> Stack:
    """What the files declare, read once for all hosts that have the same variables. Raises ParseError."""
    args = step.args
    folder = args["project_directory"]
    if folder is not None:
        folder = os.path.join(step.run.playbook_dir, os.path.expanduser(folder))
        if not os.path.isdir(folder):
            raise ShepherdError(f"project_directory: there is no folder {folder}", origin=step.task.origin)
    paths = tuple(step.find("files", str(path)) for path in args["file"])
    variables = {str(name): _text(value) for name, value in {**args["env"], **args["secrets"]}.items()}
    directory = args["directory"]
    if directory is not None and not directory.startswith("/"):
        raise ShepherdError(f"directory: {directory[:80]!r} should be an absolute path on the target")
    key = (args["name"], paths, folder, directory, tuple(args["profiles"]), tuple(sorted(variables.items())))
    async with step.run.reading:
        known = _known.setdefault(step.run, {})
        if key not in known:
            known[key] = await in_thread(_read, args["name"], paths, folder, directory, variables, args["profiles"])
    stack, warnings = known[key]
    for warning in warnings:
        step.warn(warning)
    return stack


def _read(
    name: str,
    paths: tuple[str, ...],
    folder: str | None,
    directory: str | None,
    variables: dict[str, str],
    profiles: list[str],
) -> tuple[Stack, list[str]]:
    from shepherd.compose import declare, project

    found = project.load(paths, name, folder=folder, variables=variables, profiles=profiles)
    stack = declare.declare(found, os.path.join(PLACE, name), directory)
    return stack, list(dict.fromkeys(found.top.warnings))


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    return str(value)


def _absent() -> dict[str, Any]:
    """The options by which each kind of thing is taken away, but for its name."""
    return {
        kind: load_spec(f"container{suffix}").normalise({"name": "none", "state": "absent"})
        for kind, suffix in (("container", ""), ("network", "_network"), ("volume", "_volume"))
    }


def _told(step: Step, stack: Stack) -> dict[str, Any]:
    """The stack as the target is told of it: each module's options complete, and checked as those of a task."""
    return {
        "networks": [load_spec("container_network").normalise(one) for one in stack.networks],
        "volumes": [load_spec("container_volume").normalise(one) for one in stack.volumes],
        "external": stack.external,
        "items": sorted(stack.items),
        "services": [_told_of(step, one) for one in stack.services],
    }


def _told_of(step: Step, one: dict[str, Any]) -> dict[str, Any]:
    options = {"show_env": step.args["show_env"], "settle": step.args["settle"], **one["options"]}
    image = {"name": options["image"], "pull": options["image"], "force": one["pull"] == "always"}
    try:
        made = load_spec("container").normalise(options)
    except ParseError as error:
        raise ParseError(f"service {one['service']}: {error.message}", origin=error.origin) from None
    return {**one, "options": made, "image": load_spec("container_image").normalise(image)}


async def _build(step: Step, stack: Stack) -> list[dict[str, Any]]:
    """Have the images that the file says how to build. The results, up to the first that failed."""
    results: list[dict[str, Any]] = []
    for options in stack.images:
        step.several_requests()
        one = copy.copy(step)
        one.spec = load_spec("container_image")
        one.args = one.spec.normalise({**options, "relay": step.args["relay"]})
        results.append(await container_image.run(one))
        if results[-1].get("failed"):
            break
    return results


def _packed(items: list[Any]) -> bytes:
    from shepherd.compose import sent

    return sent.packed(items)


def _joined(step: Step, result: dict[str, Any], built: list[dict[str, Any]]) -> dict[str, Any]:
    """The result with what was built."""
    warnings = [warning for one in built for warning in one.get("warnings") or ()]
    if warnings:
        result["warnings"] = [*warnings, *(result.get("warnings") or ())]
    changed = [one for one in built if one.get("changed")]
    if not changed:
        return result
    result["changed"] = True
    result["changes"] = [f"image {one['name']}: built" for one in changed] + list(result.get("changes") or [])
    if step.diff and not result.get("failed"):
        diff = result.setdefault("diff", {"before": {}, "after": {}})
        for one in changed:
            diff["before"][f"image {one['name']}"] = one.get("before") or "absent"
            diff["after"][f"image {one['name']}"] = one["digest"]
    return result
