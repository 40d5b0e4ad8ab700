"""Packages, whatever manages them."""

SPEC = {
    "summary": "Manage packages with the package manager of the host",
    "description": "Finds the package manager of the host and runs the module for it. All options go to that module, so"
    " more than these may be given.",
    "options": {
        "name": {"type": "raw", "help": "Packages, as the package manager calls them; several as a list."},
        "state": {"type": "str", "help": "`present`, `absent`, or another state that the module knows, as `latest`."},
        "use": {
            "type": "str",
            "default": "auto",
            "help": "The module to run, such as `apt`. By default that of the host's package manager.",
        },
    },
    "accepts_any": True,
    "identity": ["name"],
    "absent": {"state": "absent"},
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: Time is kept
  package:
    name: chrony
    state: present
""",
}


def run(task):
    task.fail("package cannot be run yet")
