"""Change users with the system's own programs.

Passwords go through a pipe to chpasswd(8): arguments can be read by everybody. `local` takes libuser's programs, which
know the files alone; they have no options for groups, where lgroupmod comes in.
"""

# fields of a user and the options of useradd, usermod and their libuser sisters
_OPTIONS = (("uid", "-u"), ("group", "-g"), ("comment", "-c"), ("home", "-d"), ("shell", "-s"))
_AGING = (
    ("expires", "-E"),
    ("password_expire_max", "-M"),
    ("password_expire_min", "-m"),
    ("password_expire_warn", "-W"),
    ("password_expire_account_disable", "-I"),
)


def create(commands, args, fields):
    """Add the user with `fields`: a dict of uid, group, groups, comment, home, shell, password and days of aging."""
    local = args["local"]
    argv = ["luseradd" if local else "useradd"] + _options(args, fields)
    if args["seuser"] and not local:
        argv += ["-Z", args["seuser"]]
    if args["system"]:
        argv.append("-r")
    if fields.get("lone"):
        argv.append("-n" if local else "-N")  # a group of the user's name is there already
    if args["create_home"]:
        argv += [] if local else ["-m"]
        if args["skeleton"] is not None:
            argv += ["-k", args["skeleton"]]
    else:
        argv.append("-M")
    if not local:
        if fields.get("groups"):
            argv += ["-G", ",".join(fields["groups"])]
        for option, name in (("uid_min", "UID_MIN"), ("uid_max", "UID_MAX"), ("umask", "UMASK")):
            if args[option] is not None:
                argv += ["-K", "%s=%s" % (name, args[option])]
    commands.run(argv + [args["name"]])
    _settle(commands, args, fields, joined=fields.get("groups", ()) if local else ())


def modify(commands, args, fields, current_groups):
    """Give the user `fields`; those that are to stay are not among them."""
    local = args["local"]
    options = _options(args, fields)
    if "home" in fields and args["move_home"]:
        options.append("-m")
    if not local and "groups" in fields:
        if args["append"]:
            options += ["-a", "-G", ",".join(name for name in fields["groups"] if name not in current_groups)]
        else:
            options += ["-G", ",".join(fields["groups"])]
    if options:
        commands.run(["lusermod" if local else "usermod"] + options + [args["name"]])
    joined = left = ()
    if local and "groups" in fields:
        joined = [name for name in fields["groups"] if name not in current_groups]
        left = [name for name in sorted(current_groups) if name not in fields["groups"]]
    _settle(commands, args, fields, joined, left)


def remove(commands, args):
    argv = ["luserdel" if args["local"] else "userdel"]
    if args["force"] and not args["local"]:
        argv.append("-f")
    if args["remove"]:
        argv.append("-r")
    commands.run(argv + [args["name"]])


def _options(args, fields):
    argv = []
    for field, option in _OPTIONS:
        if field in fields:
            argv += [option, str(fields[field])]
    if "uid" in fields and args["non_unique"] and not args["local"]:
        argv.append("-o")
    return argv


def _settle(commands, args, fields, joined=(), left=()):
    """What takes programs of its own: memberships with libuser, the password, and its aging."""
    name = args["name"]
    for group in joined:
        commands.run(["lgroupmod", "-M", name, group])
    for group in left:
        commands.run(["lgroupmod", "-m", name, group])
    if "password" in fields:
        commands.run(["chpasswd", "-e"], stdin="%s:%s\n" % (name, fields["password"]))
    aging = []
    for field, option in _AGING:
        if field in fields:
            aging += [option, str(fields[field])]
    if aging:
        commands.run(["lchage" if args["local"] else "chage"] + aging + [name])
