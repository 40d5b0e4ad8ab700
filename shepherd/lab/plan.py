"""Names, addresses and ports of hosts, decided from what is known; nothing is made here."""

from __future__ import annotations

import ipaddress
import itertools
import socket
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError
from shepherd.lab.state import Host, Lab

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MOST_HOSTS = 200  # of one lab: they share a network of 254 addresses
FIRST_PORT = 22001
GROUPS = ("web", "web", "db")  # of the first, second, third host, and again


def group_of(index: int) -> str:
    return GROUPS[index % len(GROUPS)]


def name_of(index: int) -> str:
    """web1 web2 db1 web3 web4 db2 …: a lab that grows keeps the names it has."""
    turns, place = divmod(index, len(GROUPS))
    group = GROUPS[place]
    return f"{group}{turns * GROUPS.count(group) + GROUPS[: place + 1].count(group)}"


def networks() -> Iterator[tuple[str, str]]:
    """Private networks that a lab may take, with the name of the bridge for each (at most 15 characters)."""
    for number in range(256):
        yield f"10.83.{number}.0/24", f"lab{number}"
    for number in range(256):
        yield f"172.31.{number}.0/24", f"lab{256 + number}"


def choose_network(taken: Iterable[tuple[str, int]], interfaces: Collection[str]) -> tuple[str, str]:
    """The first network and bridge that nothing on this machine uses. `taken` are (address, prefix length)."""
    used = [ipaddress.ip_network(f"{address}/{prefix}", strict=False) for address, prefix in taken]
    for network, bridge in networks():
        ours = ipaddress.ip_network(network)
        if bridge not in interfaces and not any(ours.overlaps(other) for other in used):
            return network, bridge
    raise ShepherdError("no private network is free for a lab", hint="use --ports, which shares this machine's network")


def gateway(lab: Lab) -> str:
    """The machine's own address on the lab's bridge."""
    return str(ipaddress.ip_network(lab.network)[1])


def add_hosts(lab: Lab, count: int, taken_ports: Collection[int]) -> None:
    """Extend the lab's list to `count` hosts."""
    ports = (port for port in itertools.count(FIRST_PORT) if port not in taken_ports and _free(port))
    for index in range(len(lab.hosts), count):
        if lab.shares_network:
            host = Host(name_of(index), "127.0.0.1", next(ports), index)
        else:
            host = Host(name_of(index), str(ipaddress.ip_network(lab.network)[index + 2]), 22, index)
        lab.hosts.append(host)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
