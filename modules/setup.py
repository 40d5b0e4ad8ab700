"""What is known about a host."""

SPEC = {
    "summary": "Gather facts about a host",
    "description": "Plays run it by themselves at their start. What it finds is there as `ansible_facts`, and as"
    " variables with the prefix `ansible_`.",
    "options": {
        "gather_subset": {
            "type": "list",
            "elements": "str",
            "default": ["all"],
            "help": "Which facts to gather: `all`, `min`, `hardware`, `network`, `virtual`, or a single kind or fact"
            " such as `date_time` or `interfaces`; with `!` in front, not to. `min` comes along unless `!min` is said.",
        },
        "filter": {
            "type": "list",
            "elements": "str",
            "default": [],
            "help": "Shell patterns: return the facts that match one, with or without the prefix `ansible_`.",
        },
        "gather_timeout": {
            "type": "int",
            "default": 10,
            "help": "Seconds to wait for what may never answer, such as the mount of a file server that is gone.",
        },
        "fact_path": {
            "type": "path",
            "default": "/etc/ansible/facts.d",
            "help": "Files named `*.fact` in this directory are facts below `ansible_local`: JSON, INI, or programs"
            " that print either.",
        },
    },
    "returns": {"ansible_facts": {"type": "dict", "help": "The facts, by name."}},
    "check": "full",
    "diff": "none",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: Only what the network is like
  setup:
    gather_subset: ['!all', '!min', network]

- name: Only some facts of all
  setup:
    filter: ['ansible_mem*', ansible_mounts]
""",
}


def run(task):
    from shepherd.remote import facts

    args = task.args
    subsets = args["gather_subset"] or ["all"]
    try:
        kinds = facts.selected(subsets)
    except facts.UnknownSubsetError as error:
        task.fail(str(error))
    found = facts.gather(kinds, facts.Known(task))
    named = {_named(name): value for name, value in found.items()}
    named.update(gather_subset=subsets, module_setup=True)
    patterns = [pattern for pattern in args["filter"] if pattern]
    if patterns:
        import fnmatch

        patterns += ["ansible_" + pattern for pattern in patterns]
        named = {
            name: value
            for name, value in named.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }
    return {"changed": False, "ansible_facts": named}


def _named(name):
    return name if name.startswith(("facter_", "ohai_")) else "ansible_" + name
