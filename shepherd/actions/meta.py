"""`meta` acts on the play itself; the engine does it (shepherd/engine/meta.py)."""

SPEC = {
    "summary": "Act on the play itself: run handlers now, end it, forget facts",
    "description": "What it does is one word.",
    "runs_on": "controller",
    "free_form": "free_form",
    "options": {
        "free_form": {
            "type": "str",
            "required": True,
            "choices": [
                "clear_facts",
                "clear_host_errors",
                "end_batch",
                "end_host",
                "end_play",
                "end_role",
                "flush_handlers",
                "noop",
                "refresh_inventory",
                "reset_connection",
            ],
            "help": "What to do.",
        },
    },
    "check": "partial",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Do not wait for the end of the play
  meta: flush_handlers

- name: Leave out hosts that need nothing
  meta: end_host
  when: not update_available
""",
}
