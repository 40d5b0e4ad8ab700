"""Check that expressions hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Assert that expressions are true",
    "description": "Fails at the first expression that does not hold. Runs on the controller.",
    "runs_on": "controller",
    "options": {
        "that": {
            "type": "raw",  # not a list, which would be cut at the commas of a text
            "required": True,
            "expression": True,
            "help": "An expression of the kind that `when` takes, or a list of them.",
        },
        "fail_msg": {"type": "raw", "aliases": ["msg"], "help": "The message when one does not hold."},
        "success_msg": {"type": "raw", "help": "The message when all hold."},
        "quiet": {"type": "bool", "default": False, "help": "Do not list what was evaluated."},
    },
    "returns": {
        "assertion": {"type": "str", "help": "The expression that did not hold."},
        "evaluated_to": {"type": "bool", "help": "What it was instead."},
    },
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: The ports must be sane
  assert:
    that:
      - http_port is defined
      - 0 < http_port | int < 65536
    fail_msg: "http_port is {{ http_port | default('not set') }}"
""",
}


async def run(step: Step) -> dict[str, Any]:
    templates = step.run.templates
    quiet = step.args["quiet"]
    that = step.args["that"]
    for expression in that if isinstance(that, list) else [that]:
        if await step.worked_out(templates.condition, expression, step.scope):
            continue
        message = step.args["fail_msg"]
        result = {
            "changed": False,
            "failed": True,
            "evaluated_to": False,
            "assertion": expression,
            "msg": "Assertion failed" if message is None else message,
        }
        if quiet:
            del result["evaluated_to"], result["assertion"]
        return result
    message = step.args["success_msg"]
    return {"changed": False, "_speaks": not quiet, "msg": "All assertions passed" if message is None else message}
