"""Static addresses of services: in their networks' subnets, and each of one container."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from shepherd.compose.project import replicas
from shepherd.origin import origin_of

if TYPE_CHECKING:
    from shepherd.compose.project import Project
    from shepherd.origin import Mapping

KINDS = {"ipv4_address": 4, "ipv6_address": 6}


def check(project: Project) -> None:
    """Note what cannot be."""
    taken: dict[tuple[str, str], str] = {}
    for name, service in project.services.items():
        for network, said in (service.get("networks") or {}).items():
            for kind, version in KINDS.items():
                if kind not in said:
                    continue
                address = said[kind]
                problem = _problem(address, version, project.networks.get(network, {}), service)
                other = taken.setdefault((str(network), address), name)
                if other != name:
                    problem = f"{address} is also the address of {other}"
                if problem:
                    label = f"networks.{network}.{kind}"
                    project.faults.note(project.where(name, label, origin_of(said, kind)).error(problem))


def _problem(address: str, version: int, network: Mapping, service: Mapping) -> str | None:
    if (replicas(service) or 1) > 1:
        return f"{address} can be one container's alone, and there are {replicas(service)} replicas"
    if network.get("external"):
        return None  # what it has is known on the target alone, and checked there
    pools = network.get("ipam", {}).get("config", [])
    one = next((one for one in pools if (":" in one.get("subnet", "")) == (version == 6) and "subnet" in one), None)
    if one is None:
        return f"its network has no subnet of IPv{version}: say one in `ipam`"
    subnet, found = ipaddress.ip_network(one["subnet"], strict=False), ipaddress.ip_address(address)
    ends = {subnet.network_address} | ({subnet.broadcast_address} if version == 4 else set())
    gateway = one.get("gateway", str(subnet.network_address + 1))
    if found not in subnet or found in ends:
        return f"{address} is no address for a container in {subnet}"
    return f"{address} is the gateway" if found == ipaddress.ip_address(gateway) else None
