"""Services and other units of systemd."""

SPEC = {
    "summary": "Manage units of systemd",
    "description": "Starts, stops, reloads, enables and masks units: services, timers, sockets, mounts. `systemd` is"
    " another name of this module.",
    "options": {
        "name": {
            "type": "str",
            "aliases": ["service", "unit"],
            "help": "The unit; `.service` may be left out.",
        },
        "state": {
            "type": "str",
            "choices": ["reloaded", "restarted", "started", "stopped"],
            "help": "`started` and `stopped` do nothing where it is so already. `restarted` always restarts. `reloaded`"
            " reloads, and starts a unit that does not run.",
        },
        "enabled": {"type": "bool", "help": "Whether it shall start at boot."},
        "masked": {"type": "bool", "help": "Whether it shall be impossible to start."},
        "daemon_reload": {
            "type": "bool",
            "default": False,
            "aliases": ["daemon-reload"],
            "help": "First let systemd read all unit files again.",
        },
        "daemon_reexec": {
            "type": "bool",
            "default": False,
            "aliases": ["daemon-reexec"],
            "help": "First let systemd execute itself again.",
        },
        "force": {"type": "bool", "help": "Overwrite links that are in the way when enabling or masking."},
        "no_block": {"type": "bool", "default": False, "help": "Do not wait until it has started or stopped."},
        "scope": {
            "type": "str",
            "choices": ["system", "user", "global"],
            "default": "system",
            "help": "The service manager: the system's, that of the user who runs the task, or all users'.",
        },
    },
    "constraints": {"required_by": {"state": ["name"], "enabled": ["name"], "masked": ["name"]}},
    "identity": ["name"],
    "absent": {"state": "stopped", "enabled": False},
    "returns": {
        "name": {"type": "str", "help": "The unit.", "sample": "cron"},
        "state": {"type": "str", "help": "`started` or `stopped`, when `state` is given."},
        "enabled": {"type": "bool", "help": "The option `enabled`, when it is given."},
        "status": {"type": "dict", "help": "The unit's properties before the task, as `systemctl show` has them."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "notes": [
        "Where systemd does not run, units can still be enabled and masked. In a chroot, or with SYSTEMD_OFFLINE=1 in"
        " the environment, their state stays as it is, with a warning; elsewhere to ask for a state is a failure.",
        "A unit without an [Install] section can be neither enabled nor disabled; it is left as it is.",
    ],
    "examples": """
- name: Cron runs, also after a boot
  systemd_service:
    name: cron
    state: started
    enabled: true

- name: A new unit file
  systemd_service:
    name: app.service
    state: restarted
    daemon_reload: true
""",
}


def run(task):
    from shepherd.remote import systemd

    args = task.args
    systemctl = systemd.Systemctl(task, args["scope"], bool(args["force"]), args["no_block"])
    for option, command in (("daemon_reload", "daemon-reload"), ("daemon_reexec", "daemon-reexec")):
        if args[option] and not task.check:
            finished = systemctl.run(command)
            if finished.status != 0 and (systemd.booted() or not systemd.offline()):
                task.fail("failure %d during %s: %s" % (finished.status, command, finished.stderr or finished.stdout))
    if args["name"] is None:
        return {"changed": False, "name": None, "status": {}}
    return systemd.converge(task, systemctl, args["name"], args["state"], args["enabled"], args["masked"])
