"""A host from its namespaces to its first program. Runs as process 1 of the host, forked from `up`.

Without systemd sshd is process 1 itself: it waits for every child that ends, also for orphans, so nothing else has to
stay in memory.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.lab import checks, content, plan
from shepherd.runtime.linux import cgroups, mounts, namespaces, syscalls
from shepherd.runtime.linux.netlink import Netlink

if TYPE_CHECKING:
    from collections.abc import Callable

    from shepherd.lab.state import Host, Lab

# <linux/capability.h>: what would change the machine rather than the host: modules, raw devices, clock, audit
FORBIDDEN = {"SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_TIME": 25, "AUDIT_CONTROL": 30, "SYSLOG": 34, "AUDIT_READ": 37}

SYSTEMD = ["/sbin/init", "--show-status=0"]
SSHD = [checks.SSHD, "-D", "-e"]


def kinds(lab: Lab) -> list[str]:
    """The namespaces of its hosts."""
    return ["mount", "pid", "uts", "ipc", "cgroup"] + ["network"] * (not lab.shares_network)


def before(lab: Lab, host: Host) -> Callable[[], None]:
    """What the host's first process does while it still has the machine's namespaces."""
    return lambda: cgroups.join(f"{lab.cgroup}/{host.name}")


def host_main(lab: Lab, host: Host) -> Callable[[Callable[[], None]], None]:
    """What process 1 does; everything that needs the machine's files is read before the fork."""
    files = content.files(lab, host)
    empty = [*content.EMPTY, content.SYSTEMD_EMPTY] if lab.systemd else list(content.EMPTY)
    parts = content.parts(Path("/proc/self/mounts").read_text()) if lab.root == "/" else []
    table = [*mounts.proc(own_network=not lab.shares_network), *mounts.SYS, *mounts.DEV, *mounts.TEMPORARY]
    table += [*cgroups.mounts(), content.CONTAINERS]
    command, environment = SSHD, content.ENVIRONMENT
    if lab.systemd:
        # systemd.io/CONTAINER_INTERFACE: how it knows that the machine's hardware is not its business
        command, environment = SYSTEMD, {**content.ENVIRONMENT, "container": "shepherd-lab"}

    def main(gate: Callable[[], None]) -> None:
        namespaces.standard_streams(os.open(lab.log(host), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        mounts.make_private()
        mounts.enter_root(mounts.make_overlay(lab.mark(host), lab.root, str(lab.folder / "root"), empty, parts))
        for mount in table:
            mount.make()
        mounts.make_devices()
        socket.sethostname(host.name)
        write(files)
        if lab.systemd:
            switch_on_units()
        else:
            leave_topmost()
        gate()
        if not lab.shares_network:
            configure_network(lab, host)
        for capability in FORBIDDEN.values():
            syscalls.drop_capability(capability)
        os.execve(command[0], command, environment)  # noqa: S606 - this process becomes the host's first program

    return main


def leave_topmost() -> None:
    """Be in a control group of version 2 below the host's topmost one, as systemd is.

    While that has processes, it hands no controllers down to containers' groups (cgroup-v2.rst, "No Internal Process
    Constraint").
    """
    for target, kind, _names in cgroups.hierarchies():
        if kind == "cgroup2":
            group = Path(target, "init")
            group.mkdir()
            (group / "cgroup.procs").write_text("0")


def write(files: list[content.File]) -> None:
    """Make the users and write the files, inside."""
    numbers = {"root": 0, **_add_users()}
    for name, mode in (("/run/sshd", 0o755), ("/run/lock", 0o1777)):
        Path(name).mkdir()
        Path(name).chmod(mode)  # whatever the umask is
    for user in content.USERS:
        _make_folder(Path(user.home), numbers[user.name])
    for file in files:
        path, owner = Path(file.path), numbers[file.owner]
        if not path.parent.is_dir():
            _make_folder(path.parent, owner)
        path.unlink(missing_ok=True)  # resolv.conf often is a link to where nothing is here
        _write(file.path, file.text, file.mode)
        os.chown(path, owner, owner)


def _make_folder(path: Path, owner: int) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, owner, owner)


def _write(path: str, text: str, mode: int | None = None) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
        if mode is not None:
            os.fchmod(stream.fileno(), mode)
        stream.write(text)


def _add_users() -> dict[str, int]:
    paths = ("/etc/passwd", "/etc/group", "/etc/shadow")
    old = []
    for path in paths:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            old.append(stream.read())
    *new, numbers = content.with_users(*old)
    for path, text in zip(paths, new, strict=True):
        _write(path, str(text))
    return numbers


def switch_on_units() -> None:
    """As `systemctl enable` does it, for the few units that a host needs."""
    Path(content.POLICY).unlink(missing_ok=True)
    here = Path(content.SYSTEMD_EMPTY[0])
    wants = here / "multi-user.target.wants"
    wants.mkdir()
    for unit in content.SYSTEMD_UNITS:
        found = next((path for folder in content.UNIT_FOLDERS if (path := Path(folder, unit)).is_file()), None)
        if found:
            (wants / unit).symlink_to(found)
    (here / "default.target").symlink_to(f"{content.UNIT_FOLDERS[0]}/multi-user.target")


def configure_network(lab: Lab, host: Host) -> None:
    """Give this namespace its address."""
    with Netlink() as netlink:
        links = netlink.links()
        netlink.set_up(links["lo"])
        netlink.add_address(links["eth0"], host.address, int(lab.network.rpartition("/")[2]))
        netlink.set_up(links["eth0"])
        netlink.add_default_route(plan.gateway(lab))
