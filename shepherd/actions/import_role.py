"""`import_role` is resolved by the loader, before anything runs."""

SPEC = {
    "summary": "Import a role when the playbook is read",
    "description": "As if its tasks were written here, with the role's variables and handlers.",
    "runs_on": "controller",
    "options": {
        "name": {"type": "str", "required": True, "aliases": ["role"], "help": "The role."},
        "tasks_from": {"type": "str", "default": "main", "help": "A file of the role's `tasks/`."},
        "vars_from": {"type": "str", "default": "main", "help": "A file of the role's `vars/`."},
        "defaults_from": {"type": "str", "default": "main", "help": "A file of the role's `defaults/`."},
        "handlers_from": {"type": "str", "default": "main", "help": "A file of the role's `handlers/`."},
        "public": {"type": "bool", "default": True, "help": "False: only the role's own tasks see its variables."},
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
- name: The web server
  import_role:
    name: nginx
  vars:
    nginx_port: 8080
""",
}
