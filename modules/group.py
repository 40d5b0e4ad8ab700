"""Groups of users."""

SPEC = {
    "summary": "Manage groups of users",
    "description": "Creates, changes or removes a group, with `groupadd`, `groupmod` and `groupdel`.",
    "options": {
        "name": {"type": "str", "required": True, "help": "The name of the group."},
        "state": {
            "type": "str",
            "choices": ["absent", "present"],
            "default": "present",
            "help": "Whether the group shall exist.",
        },
        "gid": {"type": "int", "help": "Its number. By default the next free one."},
        "non_unique": {"type": "bool", "default": False, "help": "Allow a `gid` that another group has."},
        "system": {"type": "bool", "default": False, "help": "Create it as a group of the system, with a low number."},
        "gid_min": {"type": "int", "help": "The lowest number to choose when it is created, in place of login.defs."},
        "gid_max": {"type": "int", "help": "The highest number to choose when it is created, in place of login.defs."},
        "force": {"type": "bool", "default": False, "help": "Remove it even if it is the primary group of a user."},
        "local": {
            "type": "bool",
            "default": False,
            "help": "Look in `/etc/group` alone, and use libuser's `lgroupadd`, `lgroupmod` and `lgroupdel`. For hosts"
            " whose accounts come from a directory server.",
        },
    },
    "constraints": {"required_if": [["non_unique", True, ["gid"]]]},
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "name": {"type": "str", "help": "The name of the group.", "sample": "users"},
        "state": {"type": "str", "help": "The state asked for.", "sample": "present"},
        "gid": {"type": "int", "help": "Its number, when it exists.", "sample": 1001},
        "system": {"type": "bool", "help": "The option `system`, when the group is present."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["posix"],
    "since": "0.1",
    "examples": """
- name: A group for those who may deploy
  group:
    name: deploy
    gid: 1750
""",
}


def run(task):
    from shepherd.remote import accounts, programs

    args = task.args
    name = args["name"]
    _refuse_with_local(task, "gid_min", "gid_max")
    found = accounts.group(name, args["local"])
    before = {"state": "absent"} if found is None else {"state": "present", "gid": found.gid}
    if args["state"] == "absent":
        after = {"state": "absent"}
    else:
        after = dict(before, state="present")
        if args["gid"] is not None:
            after["gid"] = args["gid"]
    result = {"changed": before != after}
    if result["changed"] and not task.check:
        commands = programs.Commands(task, name=name)
        prefix = "l" if args["local"] else ""
        if after["state"] == "absent":
            commands.run([prefix + "groupdel"] + (["-f"] if args["force"] and not prefix else []) + [name])
        else:
            _refuse_taken(task)
            verb = "groupadd" if found is None else "groupmod"
            commands.run([prefix + verb] + _options(args, creating=found is None) + [name])
            after["gid"] = accounts.group(name, args["local"]).gid
        result.update(commands.said())
    if task.diff:
        result["diff"] = {"before": before, "after": after}
    if task.check and result["changed"]:
        return result
    result.update(name=name, state=args["state"])
    if args["state"] == "present":
        result.update(gid=after["gid"], system=args["system"])
    return result


def _options(args, creating):
    options = []
    if args["gid"] is not None:
        options += ["-g", str(args["gid"])]
        if args["non_unique"] and not args["local"]:
            options.append("-o")
    if creating and args["system"]:
        options.append("-r")
    if creating:
        for name in ("gid_min", "gid_max"):
            if args[name] is not None:
                options += ["-K", "%s=%d" % (name.upper(), args[name])]
    return options


def _refuse_with_local(task, *names):
    for name in names:
        if task.args["local"] and task.args[name] is not None:
            task.fail("'%s' can not be used with 'local'" % name)


def _refuse_taken(task):
    """libuser gives a number to a second group without a word."""
    from shepherd.remote import accounts

    args = task.args
    if args["local"] and args["gid"] is not None and not args["non_unique"]:
        for other in accounts.groups(local=True):
            if other.gid == args["gid"] and other.name != args["name"]:
                message = "GID '%d' already exists with group '%s'" % (other.gid, other.name)
                task.fail(message, name=args["name"])
