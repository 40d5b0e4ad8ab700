"""A role, read and run when the play gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Include a role while the play runs",
    "description": "As `include_tasks`, for the tasks of a role, with its variables and handlers.",
    "runs_on": "controller",
    "options": {
        "name": {"type": "str", "required": True, "aliases": ["role"], "help": "The role."},
        "tasks_from": {"type": "str", "default": "main", "help": "A file of the role's `tasks/`."},
        "vars_from": {"type": "str", "default": "main", "help": "A file of the role's `vars/`."},
        "defaults_from": {"type": "str", "default": "main", "help": "A file of the role's `defaults/`."},
        "handlers_from": {"type": "str", "default": "main", "help": "A file of the role's `handlers/`."},
        "apply": {"type": "dict", "help": "Keywords for all the tasks of the role."},
        "public": {"type": "bool", "default": False, "help": "Let later tasks of the play see the role's variables."},
        "allow_duplicates": {
            "type": "bool",
            "default": True,
            "help": "False: not again if it ran with the same options.",
        },
        "rolespec_validate": {
            "type": "bool",
            "default": True,
            "help": "Check the role's argument specs, where it has them.",
        },
    },
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Only some hosts are web servers
  include_role:
    name: nginx
    tasks_from: install
  when: "'web' in group_names"
""",
}


async def run(step: Step) -> dict[str, Any]:
    return {"changed": False, "include_variables": {}, "_include": {"role": dict(step.args)}}
