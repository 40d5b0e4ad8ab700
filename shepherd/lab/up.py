"""Bring a lab up: what is missing of it is made, what runs is left alone."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from shepherd.errors import OptionsError, ShepherdError
from shepherd.lab import base, checks, content, inventory, keys, plan, state
from shepherd.lab.down import down
from shepherd.lab.enter import command_in
from shepherd.lab.start import start
from shepherd.lab.state import Host, Lab
from shepherd.runtime.linux import processes
from shepherd.runtime.linux.netlink import Netlink


@dataclass(frozen=True)
class Wishes:
    """What kind of lab. `inventory` None: inventory/lab, or inventory/lab-NAME for another name."""

    ports: bool = False  # ports of 127.0.0.1 and this machine's network, instead of addresses on a bridge
    systemd: bool = False  # as process 1 of each host
    debian: bool = False  # over a small Debian of its own rather than this machine's root
    inventory: str | None = None


def up(count: int, *, name: str = "lab", wishes: Wishes = Wishes()) -> tuple[Lab, list[str]]:
    """Have `count` hosts run in the lab `name`; returns it and the names of the hosts that were started for it.

    A lab that exists is extended. When anything fails, what this call has started is taken away again.
    """
    state.checked_name(name)
    if not 1 <= count <= plan.MOST_HOSTS:
        raise OptionsError(f"a lab has 1 to {plan.MOST_HOSTS} hosts, not {count}")
    checks.require()
    with state.locked(name):
        known = state.load(name)
        if known is None or not known.inventory:
            if known is not None:
                down(known)  # an earlier `up` was killed before it could say anything
            lab, old = _found(name, wishes), 0
        else:
            lab, old = _checked(known, wishes), len(known.hosts)
        before = lab.running()
        try:
            _extend(lab, count)
            missing = [host for host in lab.hosts if host.name not in before]
            if missing:
                start(lab, missing)
                _introduce(lab, lab.hosts[old:], before)
        except BaseException:
            _retreat(lab, old, before)
            raise
        return lab, [host.name for host in missing]


def _checked(lab: Lab, wishes: Wishes) -> Lab:
    """The lab, if hosts of the kind that is wished for can be in it."""
    wrong = [
        *(["ports"] if wishes.ports and not lab.shares_network else []),
        *(["systemd"] if wishes.systemd and not lab.systemd else []),
        *(["debian"] if wishes.debian and lab.root == "/" else []),
        *(["inventory"] if wishes.inventory and Path(wishes.inventory).absolute() != Path(lab.inventory) else []),
    ]
    if wrong:
        raise OptionsError(
            f"lab {lab.name!r} is up already, without --{wrong[0]}",
            hint="take it down first, or have another beside it with --name",
        )
    return lab


def _found(name: str, wishes: Wishes) -> Lab:
    default = "inventory/lab" if name == "lab" else f"inventory/lab-{name}"
    path = Path(wishes.inventory or default).absolute()
    if not inventory.writable(path):
        raise ShepherdError(f"{path} is there already, and no lab wrote it", hint="--inventory PATH writes another")
    own = not wishes.debian and (base.has_systemd() or not wishes.systemd)
    root = "/" if own else str(base.make())
    lab = Lab(name, str(path), systemd=wishes.systemd, root=root, made_folder=not path.parent.is_dir())
    with state.locked():
        if not wishes.ports:
            with Netlink() as netlink:
                taken = [tuple(other.network.split("/")) for other in state.labs() if other.network]
                used = netlink.networks() + [(address, int(prefix)) for address, prefix in taken]
                lab.network, lab.bridge = plan.choose_network(used, netlink.links())
        lab.folder.mkdir(mode=0o700, parents=True)
        (lab.folder / "root").mkdir()
        lab.save()
    return lab


def _extend(lab: Lab, count: int) -> None:
    """List the hosts up to `count`, with keys."""
    with state.locked():
        taken = {host.port for other in state.labs() for host in other.hosts}
        plan.add_hosts(lab, count, taken)
        lab.save()
    files = {host.name: lab.folder / f"{host.name}.key" for host in lab.hosts}
    keys.make({lab.key: f"lab {lab.name}", **{path: name for name, path in files.items()}})
    for host in lab.hosts:
        host.host_key = keys.public(files[host.name])
    inventory.write(lab)
    lab.save()


def _introduce(lab: Lab, new: list[Host], running: dict[str, int]) -> None:
    """Tell the hosts that ran before the names of the new ones; the new ones know all."""
    if lab.shares_network or not new:
        return
    lines = "\n".join(content.hosts_lines(new)) + "\n"
    for pid in running.values():
        subprocess.run(
            command_in(pid, ["tee", "-a", "/etc/hosts"]), input=lines.encode(), stdout=subprocess.DEVNULL, check=True
        )


def _retreat(lab: Lab, old: int, running: dict[str, int]) -> None:
    """Take away what a failed `up` has made."""
    if not old:
        down(lab)
        return
    now = lab.running()
    processes.kill([pid for name, pid in now.items() if running.get(name) != pid])
    del lab.hosts[old:]
    inventory.write(lab)
    lab.save()
