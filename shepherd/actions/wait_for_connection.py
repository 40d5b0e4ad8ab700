"""Wait until a host can be talked to."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError, Unreachable

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Wait until a host answers",
    "description": "Connects and runs `ping` until that works. Useful after a reboot or when a machine was just made.",
    "runs_on": "controller",
    "options": {
        "connect_timeout": {"type": "int", "default": 5, "help": "Seconds for each try."},
        "delay": {"type": "int", "default": 0, "help": "Seconds before the first try."},
        "sleep": {"type": "int", "default": 1, "help": "Seconds between tries."},
        "timeout": {"type": "int", "default": 600, "help": "Seconds after which it fails."},
    },
    "returns": {"elapsed": {"type": "int", "help": "Seconds that it took."}},
    "check": "none",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Wait for the machine
  wait_for_connection:
    delay: 5
    timeout: 300
""",
}


async def run(step: Step) -> dict[str, Any]:
    args = step.args
    began = time.monotonic()
    await asyncio.sleep(args["delay"])
    connections = step.run.connections
    while True:
        connections.drop(step.route().endpoint)
        try:
            async with asyncio.timeout(args["connect_timeout"] + 1):
                result = await step.module("ping", {})
            if result.get("ping") == "pong":
                return {"changed": False, "elapsed": int(time.monotonic() - began)}
            problem = str(result.get("msg"))
        except Unreachable as error:
            problem = error.message
        except TimeoutError:
            problem = f"no answer in {args['connect_timeout']} seconds"
        elapsed = time.monotonic() - began
        if elapsed + args["sleep"] >= args["timeout"]:
            raise ShepherdError(f"timed out waiting for ping module test: {problem}")
        await asyncio.sleep(args["sleep"])
