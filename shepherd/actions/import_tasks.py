"""`import_tasks` is resolved by the loader, before anything runs."""

SPEC = {
    "summary": "Import the tasks of a file when the playbook is read",
    "description": "As if they were written here: keywords of the import hold for each of them.",
    "runs_on": "controller",
    "free_form": "file",
    "options": {"file": {"type": "str", "help": "The file: in `tasks/` of the role, or beside this file."}},
    "check": "none",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Packages
  import_tasks: packages.yml
  tags: packages
""",
}
