"""Packages, whatever manages them."""

SPEC = {
    "summary": "Manage packages with the package manager of the host",
    "description": "Finds the package manager of the host. With apt, all options of the module `apt` may be"
    " given, too.",
    "options": {
        "name": {
            "type": "raw",
            "required": True,
            "help": "Packages, as the host's manager calls them; several as a list.",
        },
        "state": {
            "type": "str",
            "required": True,
            "help": "`present`, `absent`, `latest`, or another state that the module of the manager knows.",
        },
        "use": {
            "type": "str",
            "default": "auto",
            "help": "The package manager: `apt`, `dnf`, `dnf5`, `yum`, `zypper`, `apk` or `pacman`; by default it is"
            " found out.",
        },
    },
    "accepts_any": True,
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "stdout": {"type": "str", "help": "What the package manager wrote to its standard output."},
        "stderr": {"type": "str", "help": "What it wrote to its standard error."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "notes": [
        "With other managers than apt, whether `latest` has something newer is not known in check mode: a package that"
        " is there counts as up to date.",
    ],
    "examples": """
- name: Time is kept
  package:
    name: chrony
    state: present
""",
}


def run(task):
    from shepherd.remote import package_managers

    args = task.args
    use = args["use"].rpartition(".")[2]
    manager = _found() if use == "auto" else use
    if manager == "apt":
        return _apt(task)
    if manager not in package_managers.MANAGERS:
        task.fail("There is no module for the package manager %s" % manager)
    names = args["name"] if isinstance(args["name"], list) else args["name"].split(",")
    if args["state"] not in ("present", "installed", "absent", "removed", "latest"):
        task.fail("state must be present, absent or latest with %s, not %s" % (manager, args["state"]))
    more = sorted(name for name in args if name not in SPEC["options"] and args[name] is not None)
    if more:
        task.fail("With %s there are no more options than name and state: %s" % (manager, ", ".join(more)))
    state = "absent" if args["state"] in ("absent", "removed") else args["state"]
    return package_managers.converge(task, manager, [name.strip() for name in names], state)


def _found():
    from shepherd.remote.facts import distribution, managers

    class Known:
        facts = distribution.collect(None)

    return managers.packages(Known)["pkg_mgr"]


def _apt(task):
    """Run the module apt with its own options: those given, and the defaults of the others."""
    from shepherd.modules import apt

    options = apt.SPEC["options"]
    given = {}
    for name, option in options.items():
        for called in [name] + option.get("aliases", []):
            if task.args.get(called) is not None:
                given[name] = _typed(task, name, option, task.args[called])
    known = set(options).union(*[option.get("aliases", []) for option in options.values()]) | {"use"}
    unknown = sorted(set(task.args) - known)
    if unknown:
        task.fail("apt has no option %s" % ", ".join(unknown))
    task.args = dict({name: option.get("default") for name, option in options.items()}, **given)
    if task.args["state"] not in options["state"]["choices"]:
        task.fail("state must be one of %s, not %s" % (", ".join(options["state"]["choices"]), task.args["state"]))
    return apt.run(task)


def _typed(task, name, option, value):
    """A value as its type. Nobody looked at it before, for only here it is known whose option it is."""
    kind = option["type"]
    try:
        if kind == "bool" and not isinstance(value, bool):
            return {
                "yes": True,
                "true": True,
                "on": True,
                "1": True,
                "no": False,
                "false": False,
                "off": False,
                "0": False,
            }[str(value).lower()]
        if kind == "int":
            return int(value)
    except (KeyError, ValueError):
        task.fail("%s must be of type %s, not %r" % (name, kind, value))
    if kind == "list" and not isinstance(value, list):
        return str(value).split(",")
    return value
