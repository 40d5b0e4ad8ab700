"""Bring a lab up: what is missing of it is made, what runs is left alone."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from shepherd.errors import OptionsError, ShepherdError
from shepherd.lab import boot, checks, content, inventory, keys, plan, state
from shepherd.lab.down import down
from shepherd.lab.enter import command_in
from shepherd.lab.state import Host, Lab
from shepherd.runtime import namespaces, processes
from shepherd.runtime.netlink import Netlink

PATIENCE = 30.0  # seconds for a host to answer


def up(
    count: int, *, name: str = "lab", ports: bool = False, inventory_path: str | None = None
) -> tuple[Lab, list[str]]:
    """Have `count` hosts run in the lab `name`; returns it and the names of the hosts that were started for it.

    A lab that exists keeps its kind of network and its inventory's place. When anything fails, what this call has
    started is taken away again.
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
            lab, old = _found(name, ports, inventory_path), 0
        else:
            lab, old = known, len(known.hosts)
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


def _found(name: str, ports: bool, inventory_path: str | None) -> Lab:
    default = "inventory/lab" if name == "lab" else f"inventory/lab-{name}"
    path = Path(inventory_path or default).absolute()
    if not inventory.writable(path):
        raise ShepherdError(f"{path} is there already, and no lab wrote it", hint="--inventory PATH writes another")
    lab = Lab(name, str(path))
    with state.locked():
        lab.folder.mkdir(mode=0o700, parents=True)
        (lab.folder / "root").mkdir()
        if not ports:
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
    sshd = checks.sshd()
    if lab.shares_network:
        _start_processes(lab, hosts, sshd)
    else:
        with Netlink() as netlink:
            _start_processes(lab, hosts, sshd, netlink)
    deadline = time.monotonic() + PATIENCE
    for host in hosts:
        _wait_for_sshd(lab, host, deadline)


def _start_processes(lab: Lab, hosts: list[Host], sshd: str, netlink: Netlink | None = None) -> None:
    """All at once: each passes its gate once its cable is plugged in."""
    bridge = _bridge(lab, netlink) if netlink else 0
    started = []
    for host in hosts:
        lab.log(host).unlink(missing_ok=True)
        starting = namespaces.spawn(boot.kinds(lab), boot.host_main(lab, host, sshd))
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
