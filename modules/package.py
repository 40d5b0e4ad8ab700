"""Packages, whatever manages them."""

SPEC = {
    "summary": "Manage packages with the package manager of the host",
    "description": "Finds the package manager of the host. With apt, all options of the module `apt` may be"
    " given, too.",
    "options": {
        "name": {
            "type": "list",
            "elements": "str",
            "aliases": ["pkg"],
            "help": "Packages, as the host's manager calls them.",
        },
        "state": {
            "type": "str",
            "help": "`present`, which is the default, `absent`, `latest`, or another state that the module of the"
            " manager knows.",
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


TRUE = ("1", "on", "t", "true", "y", "yes")
FALSE = ("0", "off", "f", "false", "n", "no")
BOOLEANS = dict([(word, True) for word in TRUE] + [(word, False) for word in FALSE])


def run(task):
    from shepherd.remote import package_managers

    args = task.args
    use = args["use"].rpartition(".")[2]
    manager = _found() if use == "auto" else use
    if manager == "apt":
        return _apt(task)
    if manager not in package_managers.MANAGERS:
        task.fail('Could not find a matching action for the "%s" package manager.' % manager)
    states = {"installed": "present", "removed": "absent"}
    state = states.get(args["state"], args["state"] or "present")
    if state not in ("present", "absent", "latest"):
        task.fail("state must be present, absent or latest with %s, not %s" % (manager, state))
    more = sorted(name for name in args if name not in SPEC["options"] and args[name] is not None)
    if more:
        task.fail("With %s there are no more options than name and state: %s" % (manager, ", ".join(more)))
    return package_managers.converge(task, manager, [name.strip() for name in args["name"] or ()], state)


def _found():
    from shepherd.remote.facts import distribution, managers

    class Known:
        facts = distribution.collect(None)

    return managers.packages(Known)["pkg_mgr"]


def _apt(task):
    """Run the module apt with its own options: those given, and the defaults of the others."""
    from shepherd.modules import apt

    options = apt.SPEC["options"]
    names = {alias: name for name, option in options.items() for alias in [name] + option.get("aliases", [])}
    given = {names.get(called, called): value for called, value in task.args.items() if value is not None}
    given.pop("use", None)
    unknown = ", ".join(sorted(set(given) - set(options)))
    if unknown:
        supported = ", ".join(sorted(options))
        task.fail(
            "Unsupported parameters for (apt) module: %s. Supported parameters include: %s." % (unknown, supported)
        )
    for group in apt.SPEC["constraints"]["mutually_exclusive"]:
        if len(set(group) & set(given)) > 1:
            task.fail("parameters are mutually exclusive: %s" % "|".join(group))
    task.args = {name: option.get("default") for name, option in options.items()}
    task.args.update((name, _typed(task, name, options[name], value)) for name, value in given.items())
    return apt.run(task)


def _typed(task, name, option, value):
    """A value as its type. Nobody looked at it before, for only here it is known whose option it is."""
    kind = option["type"]
    try:
        if kind == "bool":
            value = BOOLEANS[str(value).lower()]
        elif kind == "int":
            value = int(value)
        elif kind == "list" and not isinstance(value, list):
            value = str(value).split(",")
    except (KeyError, ValueError):
        task.fail("argument '%s' is not of type %s: %s" % (name, kind, value))
    choices = option.get("choices")
    if choices and isinstance(value, bool):  # YAML's yes and no
        value = "yes" if value else "no"
    if choices and value not in choices:
        task.fail("value of %s must be one of: %s, got: %s" % (name, ", ".join(choices), value))
    return value
