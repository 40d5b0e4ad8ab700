"""Ports that a service publishes: [ADDRESS:][PUBLISHED:]TARGET[/PROTOCOL] with ranges, or a mapping."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shepherd.compose import shape

if TYPE_CHECKING:
    from shepherd.compose.where import Where
    from shepherd.origin import Origin

EVERYWHERE = "0.0.0.0"  # noqa: S104  # as in Compose: a port without an address is everybody's
_WILD = (EVERYWHERE, "::")
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_SHORT = re.compile(
    r"(?:(?P<address>\[[0-9a-fA-F:.]+\]|[^:\[\]]*):(?P<between>[\d-]*):|(?P<out>[\d-]+):)?"
    r"(?P<target>[\d-]+)(?:/(?P<protocol>\w+))?"
)
_HINT = "[ADDRESS:][PUBLISHED:]TARGET[/tcp|udp], such as 8080:80 or 127.0.0.1:53:53/udp"


@dataclass(frozen=True)
class Port:
    """`first` to `last` are the machine's ports of which one is taken, 0 any that is free."""

    address: str
    first: int
    last: int
    target: int
    protocol: str
    origin: Origin | None = field(default=None, compare=False)

    @property
    def word(self) -> str:
        """As `container` takes it."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        published = (
            "" if not self.first else str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        )
        return f"{address}:{published}:{self.target}" + ("" if self.protocol == "tcp" else f"/{self.protocol}")

    def clashes(self, other: Port) -> bool:
        """Whether both want the same port of the machine; ranges have a choice."""
        same = self.first and (self.first, self.last, self.protocol) == (other.first, other.last, other.protocol)
        alike = self.address == other.address or self.address in _WILD or other.address in _WILD
        return bool(same and self.first == self.last and alike)


def ports(value: Any, where: Where) -> list[Port]:
    """All that a service publishes."""
    found = shape.listed(lambda one, place: _long(one, place) if isinstance(one, dict) else _short(one, place))
    return list(dict.fromkeys(port for several in found(value, where) for port in several))


def _short(value: Any, where: Where) -> list[Port]:
    found = _SHORT.fullmatch(shape.text(value, where).strip())
    if found is None:
        raise where.error(f"{str(value)[:60]!r} is no port", _HINT)
    published = found["out"] if found["address"] is None else found["between"]
    address = (found["address"] or EVERYWHERE).strip("[]")
    return _made(address, published or "", found["target"], found["protocol"] or "tcp", where)


_FIELDS = {
    "target": shape.text,
    "published": shape.text,
    "host_ip": shape.word,
    "protocol": shape.word,
    "mode": shape.choice("host", "ingress"),
    "name": shape.text,
    "app_protocol": shape.text,
}


def _long(value: Any, where: Where) -> list[Port]:
    found = shape.fields(_FIELDS)(value, where)
    if "target" not in found:
        raise where.error("should say its `target`, the port inside")
    address = found.get("host_ip", EVERYWHERE).strip("[]")
    return _made(address, found.get("published", ""), found["target"], found.get("protocol", "tcp"), where)


def _made(address: str, published: str, target: str, protocol: str, where: Where) -> list[Port]:
    try:
        address = str(ipaddress.ip_address(address))
    except ValueError:
        raise where.error(f"{address[:60]!r} is no address", _HINT) from None
    if protocol not in ("tcp", "udp"):
        raise where.error(f"ports are tcp or udp, and not {protocol[:20]!r}", _HINT)
    low, high = span(target, where)
    inside = range(low, high + 1)
    if not published:
        return [Port(address, 0, 0, one, protocol, where.origin) for one in inside]
    first, last = span(published, where)
    if len(inside) == 1:
        return [Port(address, first, last, inside[0], protocol, where.origin)]
    if last - first + 1 != len(inside):
        raise where.error("the two ranges of ports are not equally long", _HINT)
    return [Port(address, first + n, first + n, one, protocol, where.origin) for n, one in enumerate(inside)]


def span(written: str, where: Where) -> tuple[int, int]:
    """The ports of 80 or 8000-8010."""
    found = _RANGE.fullmatch(written)
    if found is None:
        raise where.error(f"{written[:40]!r} is no port", _HINT)
    first, last = int(found[1]), int(found[2] or found[1])
    if not 1 <= first <= last <= 65535:
        raise where.error(f"{written} is no port: they go from 1 to 65535", _HINT)
    return first, last


def expose(value: Any, where: Where) -> None:
    """Ports that others on its networks may use: they all can. Only checked."""
    for position, one in enumerate(shape.strings(value, where)):
        place = where.into(position, one)
        number, _, protocol = one.partition("/")
        span(number, place)
        if protocol not in ("", "tcp", "udp"):
            raise place.error(f"ports are tcp or udp, and not {protocol[:20]!r}")
