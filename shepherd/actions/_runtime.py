"""The container runtime that the container modules need on a target: sent where it is missing, and only there."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any, BinaryIO

from shepherd.actions import _ailing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.engine.step import Step


@functools.cache
def version() -> str:
    """What this controller's runtime is called: the beginning of its digest, as the installed folder has it."""
    from shepherd.runtime import single_file

    return single_file.digest(single_file.sources())[:16]


@functools.cache
def content() -> bytes:
    """The one file."""
    from shepherd.runtime import single_file

    return single_file.content(single_file.sources())


async def module(
    step: Step, args: Mapping[str, Any] | None = None, *, upload: bytes | BinaryIO | None = None
) -> dict[str, Any]:
    """Run the step's own module, which answers {"need": "runtime"} where the target lacks that. One round trip else."""
    result = await _module(step, args, upload)
    _ailing.note(step, result)
    return result


async def _module(step: Step, args: Mapping[str, Any] | None, upload: bytes | BinaryIO | None) -> dict[str, Any]:
    given = {**(step.args if args is None else args), "_runtime": version()}
    result = await step.module(args=given, upload=upload)
    if result.get("need") != "runtime":
        return result
    step.several_requests()
    warnings: list[Any] = []
    if step.spec.name != "container_runtime":
        installed = await install(step, {})
        if installed.get("failed"):
            return installed
        warnings = list(installed.get("warnings") or [])
        if upload is not None and not isinstance(upload, bytes):
            upload.seek(0)
        result = await step.module(args=given, upload=upload)
    else:
        result = await install(step, given)
    if warnings:
        result["warnings"] = [*warnings, *(result.get("warnings") or [])]
    return result


async def install(step: Step, args: Mapping[str, Any]) -> dict[str, Any]:
    """Put this controller's runtime on the target."""
    file = content()
    digest = hashlib.sha256(file).hexdigest()
    return await step.module(
        "container_runtime", {**args, "_runtime": version(), "_sha256": digest}, upload=file, check=False
    )
