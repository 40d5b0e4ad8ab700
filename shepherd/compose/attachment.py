"""The networks of a service, by a list of names or a mapping; and `network_mode`."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from shepherd.compose import shape
from shepherd.compose.where import Faults
from shepherd.origin import Mapping

if TYPE_CHECKING:
    from shepherd.compose.where import Where


def _address(value: Any, where: Where, version: int) -> str:
    found = shape.word(value, where)
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise where.error(f"{found[:60]!r} is no address of IPv{version}")
    return str(address)


_ADDRESS = "the runtime gives addresses; services find one another by name"
_LONG = shape.fields(
    {
        "aliases": shape.strings,
        "ipv4_address": lambda value, where: _address(value, where, 4),
        "ipv6_address": lambda value, where: _address(value, where, 6),
        "link_local_ips": shape.unsupported(_ADDRESS),
        "mac_address": shape.unsupported(),
        "driver_opts": shape.unsupported(),
        "gw_priority": shape.unsupported("the first network that is not internal is the way out"),
        "interface_name": shape.unsupported(),
        "priority": shape.unsupported("write the networks in their order"),
    }
)


def networks(value: Any, where: Where) -> Mapping:
    """network → {"aliases": [name, …], "ipv4_address": address, "ipv6_address": address}"""
    if isinstance(value, dict):
        return shape.mapped(_LONG, {})(value, where)  # type: ignore[no-any-return]  # a reader's result
    made, faults = Mapping(), Faults()
    for position, one in enumerate(shape.listed(shape.word)(value, where)):
        with faults:
            if one in made:
                raise where.into(position, one).error(f"{one} is there twice")
            made[one] = {}
    faults.tell()
    return made


def network_mode(value: Any, where: Where) -> str:
    found = shape.word(value, where)
    kind, colon, name = found.partition(":")
    if colon and kind in ("service", "container"):
        if not name:
            raise where.error(f"should say which {kind}")
        return found
    return str(shape.choice("none", "host", "bridge")(found, where))
