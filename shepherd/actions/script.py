"""The controller's half of `script`: find the script and send it along."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError

if TYPE_CHECKING:
    from shepherd.engine.step import Step


async def run(step: Step) -> dict[str, Any]:
    args = dict(step.args)
    command = args["cmd"]
    if not command or not command.strip():
        raise ShepherdError("script needs the name of a script", origin=step.task.origin)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ShepherdError(f"script: {error}: {command}", origin=step.task.origin) from None
    source = step.find("files", words[0])
    args["_name"] = source
    args["_arguments"] = words[1:]
    with open(source, "rb") as handle:
        return await step.module(args=args, upload=handle)
