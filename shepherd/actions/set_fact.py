"""Set variables for the hosts of the play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Set variables that last for the rest of the run",
    "description": "Each option but `cacheable` is the name of a variable. Values are rendered now.",
    "runs_on": "controller",
    "accepts_any": True,
    "options": {
        "cacheable": {
            "type": "bool",
            "default": False,
            "help": "Keep it among the facts too, below all other variables that are set for the host.",
        },
    },
    "returns": {"ansible_facts": {"type": "dict", "help": "The variables."}},
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Work out the size of the pool
  set_fact:
    workers: "{{ ansible_facts['processor_vcpus'] * 2 }}"
""",
}


async def run(step: Step) -> dict[str, Any]:
    facts = {name: value for name, value in step.args.items() if name != "cacheable"}
    if not facts:
        raise ShepherdError("No key/value pairs provided, at least one is required for this action to succeed")
    for name in facts:
        if not str(name).isidentifier():
            raise ShepherdError(
                f"The variable name '{name}' is not valid. Variables must start with a letter or underscore character, "
                "and contain only letters, numbers and underscores."
            )
    return {"changed": False, "ansible_facts": facts, "_cacheable": step.args["cacheable"]}
