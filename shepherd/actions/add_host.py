"""Add a host to the inventory of this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Add a host, and groups, to the inventory of this run",
    "description": "Later plays can name it. Any other option is a variable of the host.",
    "runs_on": "controller",
    "accepts_any": True,
    "runs_once": True,
    "options": {
        "name": {"type": "str", "required": True, "aliases": ["host", "hostname"], "help": "The host, or `host:port`."},
        "groups": {
            "type": "list",
            "elements": "str",
            "aliases": ["group", "groupname"],
            "help": "Groups to put it in; they are made where they do not exist.",
        },
    },
    "returns": {"add_host": {"type": "dict", "help": "host_name, groups and host_vars as understood."}},
    "check": "partial",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Go on with the machine that was just made
  add_host:
    name: "{{ new_address }}"
    groups: [fresh]
    role: database
""",
}


async def run(step: Step) -> dict[str, Any]:
    name = str(step.args["name"])
    variables = {key: value for key, value in step.args.items() if key not in ("name", "groups")}
    host, colon, port = name.rpartition(":")
    if colon and port.isdigit() and ":" not in host:
        name, variables["ansible_ssh_port"] = host, int(port)
    groups = [group.strip() for group in step.args["groups"] or []]
    known = step.run.inventory.hosts.get(name)
    changed = known is None or any(group not in step.run.inventory.group_names(known) for group in groups)
    found = {"name": name, "groups": groups, "vars": variables}
    return {
        "changed": changed,
        "add_host": {"host_name": name, "groups": groups, "host_vars": variables},
        "_add_host": found,
    }
