"""Bring a lab up: what is missing of it is made, what runs is left alone."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from shepherd.errors import OptionsError, ShepherdError
from shepherd.lab import base, boot, checks, content, inventory, keys, plan, state
from shepherd.lab.down import down
from shepherd.lab.enter import command_for, command_in
from shepherd.lab.state import Host, Lab
from shepherd.runtime import namespaces, processes
from shepherd.runtime.netlink import Netlink

PATIENCE = 30.0  # seconds for a host to answer


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
    problem = checks.obstacle()
    if problem is not None:
        raise problem
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
                _start(lab, missing)
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
    lab = Lab(name, str(path), systemd=wishes.systemd, root="/" if own else str(base.make()))
    with state.locked():
        lab.folder.mkdir(mode=0o700, parents=True)
        (lab.folder / "root").mkdir()
        if not wishes.ports:
            with Netlink() as netlink:
                taken = [tuple(other.network.split("/")) for other in state.labs() if other.network]
                used = netlink.networks() + [(address, int(prefix)) for address, prefix in taken]
                lab.network, lab.bridge = plan.choose_network(used, netlink.links())
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


def _start(lab: Lab, hosts: list[Host]) -> None:
    if lab.shares_network:
        _start_processes(lab, hosts)
    else:
        with Netlink() as netlink:
            _start_processes(lab, hosts, netlink)
    deadline = time.monotonic() + PATIENCE
    for host in hosts:
        _wait_for_sshd(lab, host, deadline)
        if lab.systemd:
            _wait_for_units(lab, host)


def _start_processes(lab: Lab, hosts: list[Host], netlink: Netlink | None = None) -> None:
    """All at once: each passes its gate once its cable is plugged in."""
    bridge = _bridge(lab, netlink) if netlink else 0
    started = []
    for host in hosts:
        lab.log(host).unlink(missing_ok=True)
        starting = namespaces.spawn(boot.kinds(lab), boot.host_main(lab, host), boot.before(lab, host))
        if netlink:
            netlink.add_veth(f"{lab.bridge}-{host.index}", bridge, "eth0", starting.pid)
        starting.go()
        started.append((host, starting))
    for host, starting in started:
        try:
            starting.wait()
        except namespaces.StartError as error:
            raise ShepherdError(f"{host.name} did not start: {error}") from error


def _bridge(lab: Lab, netlink: Netlink) -> int:
    """The index of the lab's bridge, which is made where it is missing."""
    links: dict[str, int] = netlink.links()
    if lab.bridge not in links:
        netlink.add_bridge(lab.bridge)
        links = netlink.links()
        netlink.add_address(links[lab.bridge], plan.gateway(lab), int(lab.network.rpartition("/")[2]))
    return links[lab.bridge]


def _wait_for_sshd(lab: Lab, host: Host, deadline: float) -> None:
    while True:
        try:
            with socket.create_connection((host.address, host.port), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if host.name not in lab.running() or time.monotonic() > deadline:
            said = lab.log(host).read_text(errors="replace").strip() if lab.log(host).exists() else ""
            raise ShepherdError(
                f"sshd of {host.name} does not answer on {host.address} port {host.port}: {said[-500:]}"
            )
        time.sleep(0.01)


def _wait_for_units(lab: Lab, host: Host) -> None:
    """Until the start jobs are done. A unit that failed is nothing that a lab should hide, nor fail for."""
    waiting = command_for(lab, host.name, ["systemctl", "is-system-running", "--wait"])
    subprocess.run(waiting, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)


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
