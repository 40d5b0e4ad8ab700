"""Fail with a message of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Fail with a message",
    "description": "Useful together with `when`. Runs on the controller.",
    "runs_on": "controller",
    "options": {"msg": {"type": "raw", "default": "Failed as requested from task", "help": "Why."}},
    "returns": {"msg": {"type": "str", "help": "The message."}},
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Refuse old systems
  fail:
    msg: "{{ ansible_facts['distribution'] }} is too old"
  when: ansible_facts['distribution_major_version'] is version('11', '<')
""",
}


async def run(step: Step) -> dict[str, Any]:
    return {"changed": False, "failed": True, "msg": step.args["msg"]}
