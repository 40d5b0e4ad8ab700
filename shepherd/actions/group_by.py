"""Put hosts into groups by what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Put each host into a group that is named after one of its variables",
    "description": "Later plays can name the groups. Spaces in names become dashes. Runs on the controller.",
    "runs_on": "controller",
    "options": {
        "key": {"type": "str", "required": True, "help": "The name of the group."},
        "parents": {"type": "list", "elements": "str", "default": ["all"], "help": "Groups that the group belongs to."},
    },
    "returns": {
        "add_group": {"type": "str", "help": "The group."},
        "parent_groups": {"type": "list", "help": "Its parents."},
    },
    "check": "partial",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: A group for each distribution
  group_by:
    key: "os_{{ ansible_facts['distribution'] }}"
""",
}


async def run(step: Step) -> dict[str, Any]:
    group = step.args["key"].replace(" ", "-")
    parents = [parent.replace(" ", "-") for parent in step.args["parents"]]
    changed = group not in step.run.inventory.group_names(step.state.host)
    return {
        "changed": changed,
        "add_group": group,
        "parent_groups": parents,
        "_add_group": {"group": group, "parents": parents},
    }
