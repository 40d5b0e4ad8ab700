"""Wait for a time, or for a key."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shepherd.engine.asking import ask

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Pause the play for a time, or until someone presses return",
    "description": "Runs once for all hosts of a batch, on the controller. Without a terminal a prompt does not wait.",
    "runs_on": "controller",
    "runs_once": True,
    "options": {
        "minutes": {"type": "float", "help": "How many minutes."},
        "seconds": {"type": "float", "help": "How many seconds."},
        "prompt": {"type": "str", "help": "What to ask; the answer is in `user_input`."},
        "echo": {"type": "bool", "default": True, "help": "Show what is typed."},
    },
    "constraints": {"mutually_exclusive": [["minutes", "seconds"]]},
    "returns": {
        "user_input": {"type": "str", "help": "What was typed."},
        "delta": {"type": "int", "help": "Seconds (or minutes, with `minutes`) that it took."},
        "start": {"type": "str", "help": "When it began."},
        "stop": {"type": "str", "help": "When it ended."},
        "echo": {"type": "bool", "help": "As given."},
    },
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Let the balancer notice
  pause:
    seconds: 10

- name: A last question
  pause:
    prompt: Type the name of the cluster to go on
  register: answer
""",
}


async def run(step: Step) -> dict[str, Any]:
    args = step.args
    in_minutes = args["minutes"] is not None
    wanted = args["minutes"] * 60 if in_minutes else args["seconds"]
    began, clock = datetime.now(), time.monotonic()
    answer = ""
    said = ""
    if wanted is not None:
        wait = max(float(wanted), 1 if wanted == 0 and in_minutes else 0)
        said = f"Paused for {wanted / 60 if in_minutes else wanted:g} {'minutes' if in_minutes else 'seconds'}"
        await asyncio.sleep(wait)
    elif sys.stdin.isatty():
        question = (
            f"[{step.task.name or 'pause'}]\n{args['prompt'] or 'Press enter to continue, Ctrl+C to interrupt'}:\n"
        )
        answer = await ask(step.run.emit, question, echo=args["echo"])
        said = "Paused"
    else:
        step.warn("Not waiting for response to prompt as stdin is not interactive")
        said = "Paused"
    took = time.monotonic() - clock
    return {
        "changed": False,
        "rc": 0,
        "stdout": said,
        "stderr": "",
        "start": str(began),
        "stop": str(datetime.now()),
        "delta": int(took / 60) if in_minutes else int(took),
        "echo": args["echo"],
        "user_input": answer,
    }
