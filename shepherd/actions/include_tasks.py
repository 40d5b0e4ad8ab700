"""Tasks of a file, read when the play gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError

if TYPE_CHECKING:
    from shepherd.engine.step import Step

SPEC = {
    "summary": "Include the tasks of a file while the play runs",
    "description": "The file is looked for when the task runs, so its name may use facts, results and a loop's item.",
    "runs_on": "controller",
    "free_form": "file",
    "options": {
        "file": {
            "type": "str",
            "help": "The file: in `tasks/` of the role, beside the including file or the playbook.",
        },
        "apply": {"type": "dict", "help": "Keywords (tags, become, when, …) for all the tasks that are included."},
    },
    "returns": {"include": {"type": "str", "help": "The file that was read."}},
    "check": "none",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: What each family of systems needs
  include_tasks: "{{ ansible_facts['os_family'] | lower }}.yml"

- name: The same tasks for each site, all of them tagged
  include_tasks:
    file: site.yml
    apply:
      tags: sites
  loop: "{{ sites }}"
  loop_control:
    loop_var: site
  tags: sites
""",
}


async def run(step: Step) -> dict[str, Any]:
    name = step.args["file"]
    if not name:
        raise ShepherdError("include_tasks needs a file", origin=step.task.origin)
    include = {"file": name, "apply": step.args["apply"] or {}}
    return {"changed": False, "include": name, "include_args": {}, "_include": include}
