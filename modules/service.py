"""Services, whatever manages them."""

SPEC = {
    "summary": "Manage services",
    "description": "Starts, stops, reloads and enables services, with what the host has: systemd, OpenRC or init"
    " scripts.",
    "options": {
        "name": {"type": "str", "required": True, "help": "The service."},
        "state": {
            "type": "str",
            "choices": ["reloaded", "restarted", "started", "stopped"],
            "help": "`started` and `stopped` do nothing where it is so already. `restarted` always restarts. `reloaded`"
            " reloads, and starts a service that does not run.",
        },
        "enabled": {"type": "bool", "help": "Whether it shall start at boot."},
        "pattern": {
            "type": "str",
            "help": "Text in the command line of a process. If there is one, the service counts as running; for init"
            " scripts that do not know `status`. systemd has no use for it.",
        },
        "sleep": {
            "type": "int",
            "help": "Seconds between stop and start of a restart, for init scripts. systemd has no use for it.",
        },
        "runlevel": {"type": "str", "default": "default", "help": "The runlevel to enable it in, for OpenRC."},
        "arguments": {
            "type": "str",
            "default": "",
            "aliases": ["args"],
            "help": "More arguments for an init script. systemd has none.",
        },
        "use": {
            "type": "str",
            "default": "auto",
            "help": "What manages services: `systemd`, `sysvinit`, `openrc` or `service` (whatever but systemd); by"
            " default it is found out.",
        },
    },
    "constraints": {"required_one_of": [["state", "enabled"]]},
    "identity": ["name"],
    "absent": {"state": "stopped", "enabled": False},
    "returns": {
        "name": {"type": "str", "help": "The service.", "sample": "cron"},
        "state": {"type": "str", "help": "`started` or `stopped`, when `state` is given."},
        "enabled": {"type": "bool", "help": "The option `enabled`, when it is given."},
        "status": {"type": "dict", "help": "With systemd: the unit's properties before the task."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: Cron runs, also after a boot
  service:
    name: cron
    state: started
    enabled: true
""",
}

MANAGERS = {"systemd": "systemd", "systemd_service": "systemd", "sysvinit": "SysV", "openrc": "OpenRC"}


def run(task):
    from shepherd.remote import systemd

    args = task.args
    use = args["use"].rpartition(".")[2]
    if use not in MANAGERS and use not in ("auto", "service"):
        task.fail("%s is no service manager that is known here; there are %s" % (use, ", ".join(sorted(MANAGERS))))
    manager = MANAGERS.get(use)
    if manager == "systemd" or (use == "auto" and systemd.booted()):
        return systemd.converge(task, systemd.Systemctl(task), args["name"], args["state"], args["enabled"])
    from shepherd.remote import init_scripts

    if manager is None:
        found = init_scripts.manager(task, args["name"])
    else:
        found = getattr(init_scripts, manager)(task, args["name"])
    return init_scripts.converge(task, found)
