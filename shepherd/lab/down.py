"""Take a lab down: its processes, and with them their mounts and namespaces; its interfaces; its files.

What there is to take away is read from the kernel, so it works whatever an `up` that failed or was killed has left.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError
from shepherd.lab import base, inventory, state
from shepherd.runtime.linux import cgroups, processes
from shepherd.runtime.linux.netlink import Netlink

if TYPE_CHECKING:
    from shepherd.lab.state import Lab


def down(lab: Lab) -> None:
    """Leave nothing of it. The caller holds its lock."""
    stuck = processes.kill(list(lab.running().values()))
    if stuck:
        raise ShepherdError(f"processes {', '.join(map(str, stuck))} of lab {lab.name!r} do not end")
    cgroups.remove(lab.cgroup)
    if lab.bridge:
        with Netlink() as netlink:
            # The kernel takes the hosts' ends away in its own time; our ends go now, and theirs with them.
            for link, index in netlink.links().items():
                if link == lab.bridge or link.startswith(f"{lab.bridge}-"):
                    with suppress(OSError):
                        netlink.delete(index)
    if lab.inventory:
        inventory.remove(lab)
    state.forget(lab)


def forget_base() -> None:
    """Take away the small Debian as well that hosts can be made over. It must not be in use."""
    users = [lab.name for lab in state.labs() if lab.root != "/"]
    if users:
        raise ShepherdError(f"lab {users[0]!r} is over the small Debian", hint=f"shepherd lab down --name {users[0]}")
    base.remove()


def down_by_name(name: str) -> list[str] | None:
    """Take the lab of this name down; returns the names of the hosts it had, or None where there is none."""
    with state.locked(state.checked_name(name)):
        lab = state.load(name)
        if lab is None:
            return None
        hosts = [host.name for host in lab.hosts]
        down(lab)
        return hosts
