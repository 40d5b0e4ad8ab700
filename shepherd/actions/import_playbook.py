"""`import_playbook` is resolved by the loader, before anything runs."""

SPEC = {
    "summary": "Import the plays of another playbook",
    "description": "Stands where a play stands, not among tasks.",
    "runs_on": "controller",
    "free_form": "file",
    "options": {"file": {"type": "str", "required": True, "help": "The playbook, relative to this one."}},
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: First the databases
  import_playbook: databases.yml
""",
}
