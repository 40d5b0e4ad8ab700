"""What stands beside the services: networks, volumes, configs and secrets."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any

from shepherd.compose import shape

if TYPE_CHECKING:
    from shepherd.compose.where import Where
    from shepherd.origin import Mapping

LARGEST = 512000  # bytes of a config or a secret, as Docker's


def _driver(name: str) -> shape.Reader:
    def read(value: Any, where: Where) -> None:
        if value not in (name, "default"):
            raise where.error(f"the driver {str(value)[:40]!r} is not supported", f"there is {name}")

    return read


def _external(value: Any, where: Where) -> bool:
    if isinstance(value, dict):
        raise where.error("should be true or false", "its name goes into `name`")
    return shape.flag(value, where)


def _subnet(value: Any, where: Where) -> str:
    try:
        return str(ipaddress.ip_network(shape.text(value, where)))
    except ValueError as error:
        raise where.error(str(error)) from None


def _address(value: Any, where: Where) -> str:
    try:
        return str(ipaddress.ip_address(shape.text(value, where)))
    except ValueError as error:
        raise where.error(str(error)) from None


_IPAM = shape.fields(
    {
        "driver": _driver("default"),
        "config": shape.listed(
            shape.fields(
                {
                    "subnet": _subnet,
                    "ip_range": _subnet,
                    "gateway": _address,
                    "aux_addresses": shape.unsupported(),
                }
            )
        ),
        "options": shape.unsupported(),
    }
)
_NETWORK = {
    "name": shape.word,
    "external": _external,
    "driver": _driver("bridge"),
    "driver_opts": shape.unsupported(),
    "attachable": shape.meaningless("other containers can join"),
    "enable_ipv4": shape.only(True, "a network has addresses of IPv4"),
    "enable_ipv6": shape.flag,
    "internal": shape.flag,
    "ipam": _IPAM,
    "labels": shape.pairs,
}
_BOUND = shape.fields({"type": shape.choice("none", "bind"), "o": shape.choice("bind"), "device": shape.word})


def _bound(value: Any, where: Where) -> str:
    """The folder on the target that a volume stands for."""
    found = _BOUND(value, where)
    if set(found) != {"type", "o", "device"}:
        raise where.error("should say `type: none`, `o: bind` and the `device`, a folder", "nothing else is mounted")
    if not found["device"].startswith("/"):
        raise where.error(f"{found['device'][:80]!r} should be an absolute path on the target")
    return str(found["device"])


_VOLUME = {
    "name": shape.word,
    "external": _external,
    "driver": _driver("local"),
    "driver_opts": _bound,
    "labels": shape.pairs,
}


def _file(value: Any, where: Where) -> str:
    return os.path.abspath(os.path.join(where.folder, os.path.expanduser(shape.word(value, where))))


_ELSEWHERE = "say a `file`, or an `environment` whose variable is in the task's `secrets`"
_SECRET = {
    "name": shape.word,
    "file": _file,
    "environment": shape.word,
    "external": shape.unsupported(_ELSEWHERE),
    "labels": shape.meaningless("it is a file of the containers that have it"),
    "driver": shape.unsupported(),
    "driver_opts": shape.unsupported(),
    "template_driver": shape.unsupported(),
}
_CONFIG = {**_SECRET, "content": shape.text}


def _sourced(table: dict[str, shape.Reader], what: str) -> shape.Reader:
    """A config or a secret: it has one source."""
    read = shape.fields(table)
    sources = [name for name in ("file", "environment", "content") if name in table]

    def checked(value: Any, where: Where) -> Any:
        found = read(value, where)
        said = [name for name in sources if name in found]
        if len(said) != 1:
            known = ", ".join(sources[:-1]) + " or " + sources[-1]
            raise where.error(f"a {what} should have one of {known}")
        return found

    return checked


def _made(table: dict[str, shape.Reader]) -> shape.Reader:
    """A network or a volume; of an external one nothing but its name can be said."""
    read = shape.fields(table)

    def checked(value: Any, where: Where) -> Mapping:
        found: Mapping = read(value, where)
        if found.get("external"):
            for name in found:
                if name not in ("external", "name"):
                    raise where.into(name).error("an external one is as it is: it has a name alone")
        return found

    return checked


KINDS: dict[str, shape.Reader] = {
    "networks": shape.mapped(_made(_NETWORK), {}),
    "volumes": shape.mapped(_made(_VOLUME), {}),
    "configs": shape.mapped(_sourced(_CONFIG, "config"), {}),
    "secrets": shape.mapped(_sourced(_SECRET, "secret"), {}),
}
