"""Accounts of users."""

import os

SPEC = {
    "summary": "Manage accounts of users",
    "description": "Creates, changes or removes an account, with the system's own programs (`useradd`, `usermod`,"
    " `userdel`, `chpasswd`, `chage`).",
    "options": {
        "name": {"type": "str", "required": True, "aliases": ["user"], "help": "The name of the user."},
        "state": {
            "type": "str",
            "choices": ["absent", "present"],
            "default": "present",
            "help": "Whether the account shall exist.",
        },
        "uid": {"type": "int", "help": "The number of the user. By default the next free one."},
        "non_unique": {"type": "bool", "default": False, "help": "Allow a `uid` that another user has."},
        "group": {"type": "str", "help": "The primary group, by name or number. By default one of the user's name."},
        "groups": {
            "type": "list",
            "elements": "str",
            "help": "The supplementary groups, by name or number. An empty list takes the user out of all; without it"
            " they stay as they are.",
        },
        "append": {
            "type": "bool",
            "default": False,
            "help": "Add to `groups` and leave the user in all others, too. When off, `groups` are all that remain.",
        },
        "comment": {"type": "str", "help": "The description of the account (GECOS), usually a full name."},
        "home": {"type": "path", "help": "The home directory."},
        "create_home": {
            "type": "bool",
            "default": True,
            "aliases": ["createhome"],
            "help": "Make the home directory where it is missing.",
        },
        "move_home": {"type": "bool", "default": False, "help": "Move the old home to a new `home`, if that is free."},
        "skeleton": {
            "type": "str",
            "help": "The directory whose content a new home starts with. Default: `/etc/skel`.",
        },
        "umask": {"type": "str", "help": "Octal digits: what a new home's mode leaves out, in place of login.defs."},
        "shell": {"type": "path", "help": "The login shell."},
        "password": {
            "type": "str",
            "no_log": True,
            "help": "The hash of the password, as in `{{ 'secret' | password_hash('sha512') }}`. `*` or `!` means"
            " that no password will do.",
        },
        "update_password": {
            "type": "str",
            "choices": ["always", "on_create"],
            "default": "always",
            "help": "When to set the password: whenever it differs, or only when the account is created.",
        },
        "password_lock": {
            "type": "bool",
            "help": "Lock or unlock the password. Other ways to log in, such as keys, still work.",
        },
        "expires": {
            "type": "float",
            "help": "When the account ends, in seconds since 1970; the day counts. A negative number: never.",
        },
        "password_expire_max": {"type": "int", "help": "Days until the password must be changed; -1: never."},
        "password_expire_min": {"type": "int", "help": "Days before the password may be changed again."},
        "password_expire_warn": {"type": "int", "help": "Days of warning before the password expires."},
        "password_expire_account_disable": {
            "type": "int",
            "help": "Days from when the password expires until the account is disabled; -1: never.",
        },
        "system": {
            "type": "bool",
            "default": False,
            "help": "Create it as an account of the system, with a low number.",
        },
        "uid_min": {"type": "int", "help": "The lowest number to choose when it is created, in place of login.defs."},
        "uid_max": {"type": "int", "help": "The highest number to choose when it is created, in place of login.defs."},
        "seuser": {"type": "str", "help": "The SELinux user to map a new account to."},
        "local": {
            "type": "bool",
            "default": False,
            "help": "Look in the files under `/etc` alone, and use libuser's `luseradd`, `lusermod`, `luserdel` and"
            " `lchage`. For hosts whose accounts come from a directory server.",
        },
        "remove": {"type": "bool", "default": False, "help": "Remove the home and the mail with the account."},
        "force": {
            "type": "bool",
            "default": False,
            "help": "Remove the account although the user is logged in; with `generate_ssh_key`, replace a key.",
        },
        "generate_ssh_key": {
            "type": "bool",
            "default": False,
            "help": "Make an SSH key for the user, if there is none.",
        },
        "ssh_key_type": {"type": "str", "default": "rsa", "help": "The type of the key, as `ssh-keygen -t` takes it."},
        "ssh_key_bits": {"type": "int", "help": "The size of the key. The default is ssh-keygen's."},
        "ssh_key_file": {
            "type": "path",
            "help": "The file of the key; a relative path starts at the home. Default: `.ssh/id_` and the type.",
        },
        "ssh_key_comment": {"type": "str", "help": "The comment. Default: `ansible-generated on` and the host's name."},
        "ssh_key_passphrase": {"type": "str", "no_log": True, "help": "The passphrase. By default there is none."},
        "login_class": {"type": "str", "help": "The login class on a BSD. There is no such thing on Linux."},
        "authorization": {"type": "str", "help": "Authorizations on Solaris. There is no such thing on Linux."},
        "profile": {"type": "str", "help": "Profiles on Solaris. There is no such thing on Linux."},
        "role": {"type": "str", "help": "Roles on Solaris. There is no such thing on Linux."},
        "hidden": {"type": "bool", "help": "Hide the user from the login window of macOS. No such thing on Linux."},
    },
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "name": {"type": "str", "help": "The name of the user.", "sample": "asmith"},
        "state": {"type": "str", "help": "The state asked for.", "sample": "present"},
        "uid": {"type": "int", "help": "The number of the user, when it exists.", "sample": 1044},
        "group": {"type": "int", "help": "The number of the primary group, when the user exists.", "sample": 1001},
        "groups": {"type": "str", "help": "The groups as given, when `groups` is.", "sample": "chrony,apache"},
        "comment": {"type": "str", "help": "The description of the account.", "sample": "Agent Smith"},
        "home": {"type": "str", "help": "The home directory.", "sample": "/home/asmith"},
        "shell": {"type": "str", "help": "The login shell.", "sample": "/bin/bash"},
        "append": {"type": "bool", "help": "The option `append`, when the user existed."},
        "move_home": {"type": "bool", "help": "The option `move_home`, when the user existed."},
        "create_home": {"type": "bool", "help": "The option `create_home`, when the user was created."},
        "system": {"type": "bool", "help": "The option `system`, when the user was created."},
        "force": {"type": "bool", "help": "The option `force`, when the user was removed."},
        "remove": {"type": "bool", "help": "The option `remove`, when the user was removed."},
        "password": {"type": "str", "help": "A mask, when `password` is given.", "sample": "NOT_LOGGING_PASSWORD"},
        "ssh_key_file": {"type": "str", "help": "The file of the SSH key.", "sample": "/home/asmith/.ssh/id_rsa"},
        "ssh_fingerprint": {"type": "str", "help": "The fingerprint of the SSH key."},
        "ssh_public_key": {"type": "str", "help": "The public SSH key."},
        "stdout": {"type": "str", "help": "What the programs wrote to their standard output, if anything."},
        "stderr": {"type": "str", "help": "What the programs wrote to their standard error, if anything."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "notes": ["An existing account's `system` and `seuser` are not changed."],
    "examples": """
- name: One who deploys
  user:
    name: deploy
    comment: Deployment
    groups: [adm, www-data]
    append: true
    shell: /bin/bash
    generate_ssh_key: true
    ssh_key_type: ed25519

- name: One who left
  user:
    name: former
    state: absent
    remove: true
""",
}

DAY = 86400
MASK = "NOT_LOGGING_PASSWORD"
AGING = {
    "password_expire_max": "maximum",
    "password_expire_min": "minimum",
    "password_expire_warn": "warn",
    "password_expire_account_disable": "inactive",
}
# crypt(5): the marks of the methods, and how long the part after the last $ is
HASHES = {"1": 22, "5": 43, "6": 86, "7": 43, "y": 43, "gy": 43, "2a": 53, "2b": 53, "2x": 53, "2y": 53, "sha1": 28}


def run(task):
    from shepherd.remote import accounts, programs

    args = task.args
    name = args["name"]
    for option in ("uid_min", "uid_max", "umask"):
        if args["local"] and args[option] is not None:
            task.fail("'%s' can not be used with 'local'" % option)
    _check_password(task)
    if args["append"] and args["groups"] is None:
        task.warn("'append' is set, but no 'groups' are specified. Use 'groups' for appending new groups.")
    user = accounts.user(name, args["local"])
    commands = programs.Commands(task, name=name)
    if args["state"] == "absent":
        return _absent(task, user, commands)
    if user is None:
        return _create(task, commands)
    return _modify(task, user, commands)


def _check_password(task):
    password = task.args["password"]
    if password is None:
        return
    if ":" in password or "\n" in password:
        task.fail("A password's hash has no colon and no line break in it", name=task.args["name"])
    parts = password.lstrip("!").split("$")
    hashed = len(parts) > 3 and len(parts[-1]) == HASHES.get(parts[1])
    if not hashed and password not in ("", "*", "!", "*" * 13):
        task.warn(
            "The input password appears not to have been hashed. The 'password' argument must be encrypted for this"
            " module to work properly."
        )


def _diff(task, result, before, after):
    """In diff mode, both as a person reads them."""
    if not task.diff:
        return

    def shown(fields):
        fields = {key: value for key, value in fields.items() if key != "lone"}
        if "password" in fields:
            fields["password"] = MASK
        if "expires" in fields:
            fields["expires"] = "never" if fields["expires"] < 0 else _date(fields["expires"])
        return fields

    before, after = shown(before), shown(after)
    if before.get("password") and "password" in after:
        before["password"] = MASK + " (old)"
    result["diff"] = {"before": before, "after": after}


def _date(days):
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(days * DAY))


def _absent(task, user, commands):
    from shepherd.remote import account_tools

    args = task.args
    result = {"changed": user is not None}
    _diff(task, result, {"state": "absent" if user is None else "present"}, {"state": "absent"})
    if user is not None and task.check:
        return result
    result.update(name=args["name"], state="absent")
    if user is not None:
        account_tools.remove(commands, args)
        result.update(commands.said(), force=args["force"], remove=args["remove"])
    return result


def _create(task, commands):
    from shepherd.remote import account_tools, accounts

    args = task.args
    fields = {option: args[option] for option in ("uid", "comment", "home", "shell") if args[option] is not None}
    for option, days in _aging(args).items():
        fields[option] = days
    if args["password"] is not None:
        locked = "!" if args["password_lock"] and not args["password"].startswith("!") else ""
        fields["password"] = locked + args["password"]
    result = {"changed": True}
    asked = dict(fields, state="present")
    asked.update({option: args[option] for option in ("group", "groups") if args[option]})
    _diff(task, result, {"state": "absent"}, asked)
    if task.check:
        return result
    if args["group"] is not None:
        fields["group"] = _group(task, args["group"]).gid
    elif accounts.group(args["name"], args["local"]):
        fields["lone"] = True
    if args["groups"]:
        fields["groups"] = [_group(task, name).name for name in args["groups"]]
    home = args["home"]
    if home and args["create_home"] and os.path.isabs(home):
        os.makedirs(os.path.dirname(home.rstrip("/")), mode=0o755, exist_ok=True)
    account_tools.create(commands, args, fields)
    user = accounts.user(args["name"], args["local"])
    result.update(create_home=args["create_home"], system=args["system"])
    return _finish(task, user, result, commands)


def _modify(task, user, commands):
    from shepherd.remote import account_tools, accounts, homes

    args = task.args
    shadow = accounts.shadow(user.name)
    primary = _group(task, args["group"]).gid if args["group"] is not None else user.gid
    current = {"uid": user.uid, "group": user.gid, "comment": user.comment, "home": user.home, "shell": user.shell}
    wanted = {option: args[option] for option in ("uid", "comment", "home", "shell") if args[option] is not None}
    wanted["group"] = primary
    current.update(expires=shadow.expires, **{option: getattr(shadow, field) for option, field in AGING.items()})
    wanted.update(_aging(args))
    current["password"] = shadow.password
    wanted["password"] = _password(task, shadow.password)
    member = set()
    if args["groups"] is not None:
        groups = [_group(task, name.strip()) for name in args["groups"] if name.strip()]
        names = {group.name for group in groups if group.gid != primary}
        member = accounts.memberships(user.name, primary, args["local"])
        current["groups"] = sorted(member)
        wanted["groups"] = sorted(names | member if args["append"] else names)
    before = {field: current[field] for field in wanted if current[field] != wanted[field]}
    after = {field: wanted[field] for field in before}
    home = after.get("home", user.home)
    missing = args["create_home"] and bool(home) and not os.path.exists(home)
    result = {"changed": bool(after) or missing, "append": args["append"], "move_home": args["move_home"]}
    _diff(
        task,
        result,
        dict(before, **({"home directory": "missing"} if missing else {})),
        dict(after, **({"home directory": "present"} if missing else {})),
    )
    if result["changed"] and not task.check:
        account_tools.modify(commands, args, after, member)
        user = accounts.user(user.name, args["local"])
        if missing and not os.path.exists(home):
            homes.create(home, args["skeleton"], args["umask"], user.uid, user.gid)
    return _finish(task, user, result, commands)


def _group(task, name):
    from shepherd.remote import accounts

    found = accounts.group_called(name.strip(), task.args["local"])
    if found is None:
        task.fail("Group %s does not exist" % name)
    return found


def _aging(args):
    """The options in days that are given, as shadow(5) has them."""
    given = {option: max(args[option], -1) for option in AGING if args[option] is not None}
    if args["expires"] is not None:
        given["expires"] = int(args["expires"] // DAY) if args["expires"] >= 0 else -1
    return given


def _password(task, current):
    """What the password field shall hold. A leading ! locks, and is no part of the password."""
    args = task.args
    given, lock = args["password"], args["password_lock"]
    wanted = current
    if given is not None and args["update_password"] == "always" and given.lstrip("!") != current.lstrip("!"):
        wanted = given
    if lock and not wanted.startswith("!"):
        return "!" + wanted
    if lock is False and wanted.startswith("!"):
        if wanted.lstrip("!"):
            return wanted.lstrip("!")
        task.warn("The password of %s stays locked: there is none, and without one anybody could log in" % args["name"])
    return wanted


def _finish(task, user, result, commands):
    args = task.args
    result.update(name=user.name, state="present", uid=user.uid, group=user.gid, comment=user.comment)
    result.update(home=user.home, shell=user.shell)
    if args["groups"] is not None:
        result["groups"] = ",".join(args["groups"])
    if args["password"] is not None:
        result["password"] = MASK
    if args["generate_ssh_key"]:
        from shepherd.remote import ssh_keygen

        result["changed"] |= ssh_keygen.ensure(task, user, result)
    result.update(commands.said())
    return result
