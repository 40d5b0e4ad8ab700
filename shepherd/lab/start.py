"""Hosts from the outside: their processes, their cables, and the wait until each answers."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError
from shepherd.lab import boot, plan
from shepherd.lab.enter import command_for
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import namespaces
from shepherd.runtime.linux.netlink import Netlink
from shepherd.runtime.network import forwarding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.lab.state import Host, Lab

NO_BRIDGE = "--ports shares this machine's network and needs none"
LOCAL = b"\x02\x53"  # the bit of IEEE 802 for addresses that no maker of hardware gives out
PATIENCE = 30.0  # seconds for a host to answer


def start(lab: Lab, hosts: list[Host]) -> None:
    """Start these hosts, all at once, and return when each can be logged in to."""
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
    started: list[namespaces.Starting] = []
    try:
        for host in hosts:
            lab.log(host).unlink(missing_ok=True)
            with _explained(host):
                started.append(namespaces.spawn(boot.kinds(lab), boot.host_main(lab, host), boot.before(lab, host)))
                if netlink:
                    _plug_in(lab, host, bridge, started[-1].pid, netlink)
            started[-1].go()
        for host, starting in zip(hosts, started, strict=True):
            with _explained(host):
                starting.wait()
    except BaseException:
        for starting in started:
            starting.abandon()  # none may go on unseen while the others are taken away
        raise


@contextmanager
def _explained(host: Host) -> Iterator[None]:
    try:
        yield
    except (OSError, namespaces.StartError) as error:
        raise ShepherdError(f"{host.name} did not start: {error}") from error


def _bridge(lab: Lab, netlink: Netlink) -> int:
    """The index of the lab's bridge, which is made where it is missing."""
    links: dict[str, int] = netlink.links()
    if lab.bridge not in links:
        try:
            netlink.add_bridge(lab.bridge)
        except OSError as error:
            raise ShepherdError(f"the bridge {lab.bridge} cannot be made: {error}", hint=NO_BRIDGE) from error
        links = netlink.links()
        netlink.add_address(links[lab.bridge], plan.gateway(lab), int(lab.network.rpartition("/")[2]))
        try:
            forwarding.renew()  # this machine's own containers' rules know of it, and let pass what crosses it
        except RuntimeFailure as error:
            raise ShepherdError(f"the rules for this machine's containers: {error.message}", hint=error.hint) from None
    return links[lab.bridge]


def _plug_in(lab: Lab, host: Host, bridge: int, pid: int, netlink: Netlink) -> None:
    """Connect the network namespace of process `pid` with the bridge."""
    name = f"{lab.bridge}-{host.index}"
    stale = netlink.links().get(name)  # of a host that ended just now
    if stale:
        netlink.delete(stale)
    hardware = LOCAL + socket.inet_aton(host.address)
    netlink.add_veth(name, bridge, "eth0", pid, hardware)


def _wait_for_sshd(lab: Lab, host: Host, deadline: float) -> None:
    while True:
        try:
            with socket.create_connection((host.address, host.port), timeout=PATIENCE / 20) as connection:
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
