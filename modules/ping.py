"""Prove that the host answers and that modules run there."""

SPEC = {
    "summary": "Check that a host can be reached and has a usable Python",
    "description": "Answers `pong`, or the text in `data`. It is no ICMP ping: it runs a module over the connection.",
    "options": {
        "data": {"type": "str", "default": "pong", "help": "What to answer. The word `crash` makes the module raise."},
    },
    "returns": {"ping": {"type": "str", "help": "The text of `data`.", "sample": "pong"}},
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "examples": """
- name: Is everybody there?
  ping:
""",
}


def run(task):
    if task.args["data"] == "crash":
        raise Exception("boom")
    return {"changed": False, "ping": task.args["data"]}
