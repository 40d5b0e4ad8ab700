"""Package managers that have no module of their own yet, for what `package` asks of them: present, latest, absent."""

from collections import namedtuple

from shepherd.remote import programs

# Command lines that names are added to. `installed` ends with 0 when the package is there, and prints its version.
Manager = namedtuple("Manager", "installed install upgrade remove")

_RPM = ["rpm", "-q", "--whatprovides"]
MANAGERS = {
    "dnf": Manager(_RPM, ["dnf", "-y", "install"], ["dnf", "-y", "upgrade"], ["dnf", "-y", "remove"]),
    "dnf5": Manager(_RPM, ["dnf5", "-y", "install"], ["dnf5", "-y", "upgrade"], ["dnf5", "-y", "remove"]),
    "yum": Manager(_RPM, ["yum", "-y", "install"], ["yum", "-y", "upgrade"], ["yum", "-y", "remove"]),
    "zypper": Manager(_RPM, ["zypper", "-n", "install"], ["zypper", "-n", "update"], ["zypper", "-n", "remove"]),
    "apk": Manager(["apk", "info", "-e", "-v"], ["apk", "add"], ["apk", "add", "-u"], ["apk", "del"]),
    "pacman": Manager(
        ["pacman", "-Q"],
        ["pacman", "-S", "--noconfirm", "--needed"],
        ["pacman", "-S", "--noconfirm", "--needed"],
        ["pacman", "-R", "--noconfirm"],
    ),
}


def converge(task, manager, names, state):
    """Bring the packages to `state`. Returns the result."""
    known = MANAGERS[manager]
    commands = programs.Commands(task)
    before = {name: _version(commands, known, name) for name in names}
    missing = [name for name in names if before[name] is None]
    present = [name for name in names if before[name] is not None]
    if state == "absent":
        steps = [(known.remove, present)]
    elif state == "latest":
        steps = [(known.install, missing), (known.upgrade, present)]
    else:
        steps = [(known.install, missing)]
    commands = programs.Commands(task)
    for argv, concerned in steps:
        if concerned and not task.check:
            commands.run(argv + concerned)
    if task.check:
        after = dict(before)
        after.update(dict.fromkeys(present) if state == "absent" else dict.fromkeys(missing, "installed"))
    else:
        after = {name: _version(programs.Commands(task), known, name) for name in names}
    result = {"changed": before != after}
    result.update(commands.said())
    if task.diff:
        changed = [name for name in names if before[name] != after[name]]
        result["diff"] = {
            side: {name: of[name] for name in changed} for side, of in (("before", before), ("after", after))
        }
    return result


def _version(commands, known, name):
    """What the manager says of an installed package, None where it is not installed."""
    finished = commands.run(known.installed + [name], accept=range(256))
    return finished.stdout.strip() if finished.status == 0 else None
