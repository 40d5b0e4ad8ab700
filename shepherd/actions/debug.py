"""Print something. Happens on the controller: no round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.errors import UndefinedVariable

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Print a message or a variable while a play runs",
    "description": "Runs on the controller; the host is not asked.",
    "runs_on": "controller",
    "options": {
        "msg": {
            "type": "raw",
            "help": "What to print: text, or any value. Without it and without `var`: `Hello world!`.",
        },
        "var": {
            "type": "raw",
            "help": "An expression whose value is printed. It is in Jinja already: write no `{{ }}`.",
        },
        "verbosity": {"type": "int", "default": 0, "help": "Print only when the command was given that many -v."},
    },
    "constraints": {"mutually_exclusive": [["msg", "var"]]},
    "returns": {"msg": {"type": "raw", "help": "What was printed."}},
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Say which host this is
  debug:
    msg: "{{ inventory_hostname }} is {{ ansible_facts['fqdn'] }}"

- name: Show a variable
  debug:
    var: result.stdout_lines
""",
}


async def run(step: Step) -> dict[str, Any]:
    wanted = step.args["verbosity"]
    if step.run.options.verbosity < wanted:
        return {"changed": False, "skipped": True, "skipped_reason": "Verbosity threshold not met."}
    result: dict[str, Any] = {"changed": False, "failed": False, "_speaks": True}
    expression = step.args["var"]
    if expression is None:
        message = step.args["msg"]
        result["msg"] = "Hello world!" if message is None else message
        return result
    if not isinstance(expression, str):
        result[str(type(expression).__name__)] = expression
        return result
    try:
        value = await step.worked_out(step.run.templates.evaluate, expression, step.scope)
    except UndefinedVariable as error:
        value = "VARIABLE IS NOT DEFINED!"
        if step.run.options.verbosity:
            value = f"{value}: {error.message}"
    result[expression] = value
    return result
