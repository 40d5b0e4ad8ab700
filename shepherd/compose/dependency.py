"""`depends_on`: what a service waits for; and the order that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from shepherd.compose import shape
from shepherd.compose.merging import merge
from shepherd.compose.where import Faults
from shepherd.errors import nearest
from shepherd.origin import Mapping, Text, origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping as Table

    from shepherd.compose.where import Where
    from shepherd.origin import Origin

CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")


@dataclass(frozen=True)
class Dependency:
    """`restart`: who waits is started again when the other is replaced."""

    condition: str = CONDITIONS[0]
    restart: bool = False
    required: bool = True
    origin: Origin | None = field(default=None, compare=False)


_LONG = shape.fields({"condition": shape.choice(*CONDITIONS), "restart": shape.flag, "required": shape.flag})


def depends_on(value: Any, where: Where) -> Mapping:
    """service → Dependency"""
    made, faults = Mapping(), Faults()
    if isinstance(value, dict):
        for key, inner in value.items():
            place = where.into(key, inner)
            with faults:
                made[key] = Dependency(**_LONG({} if inner is None else inner, place), origin=place.origin)
        faults.tell()
        return made
    for position, one in enumerate(value if isinstance(value, list) else [value]):
        place = where.into(position, one)
        made[shape.word(one, place)] = Dependency(origin=place.origin)
    return made


def links(value: Any, where: Where) -> Mapping:
    """service → the name by which the other is known, too, of SERVICE[:NAME]."""
    made = Mapping()
    for position, one in enumerate(shape.strings(value, where)):
        name, _colon, alias = one.partition(":")
        place = where.into(position, value[position] if isinstance(value, list) else value)
        made[Text(shape.word(name, place), place.origin) if place.origin else name] = alias or name
    return made


def linked(services: Table[str, Mapping]) -> dict[str, Mapping]:
    """The services, where a link is a dependency, and another name of the other one."""
    made = {name: merge(None, service) for name, service in services.items()}
    for service in made.values():
        needs = service["depends_on"] = Mapping(service.get("depends_on", {}))
        kind, _colon, provider = (service.get("network_mode") or "").partition(":")
        if kind == "service":  # its network is the other's, and goes with that
            origin = origin_of(service, "network_mode")
            needs[provider] = replace(needs.get(provider, Dependency(origin=origin)), restart=True, required=True)
        for other, alias in service.get("links", {}).items():
            if other not in needs:
                needs[other] = Dependency(origin=getattr(other, "origin", None))
            if other in made and alias != other:
                made[other]["aliases"] = [*made[other].get("aliases", []), alias]
        for other in service.get("volumes_from", ()):
            needs.setdefault(other, Dependency(origin=getattr(other, "origin", None)))
    return made


def ordered(services: Table[str, Mapping], everything: Table[str, Mapping], where: Where) -> list[str]:
    """The active services, each behind those that it depends on. Raises ComposeError for what is not there, and cycles.

    `everything` has also those that no profile asks for.
    """
    needs: dict[str, list[str]] = {}
    faults = Faults()
    for name, service in services.items():
        found = service.get("depends_on", {})
        needs[name] = [other for other in found if other in services]
        for other, one in found.items():
            with faults:
                _check(other, one, services, everything, _place(where, name, one))
    faults.tell()
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        path = error.args[1][::-1]
        place = _place(where, path[0], services[path[0]]["depends_on"][path[1]])
        raise place.error(f"they wait for one another: {' → '.join(path)}") from None


def _check(
    other: str, one: Dependency, services: Table[str, Mapping], everything: Table[str, Mapping], where: Where
) -> None:
    """What is waited for is there, and can be as it is waited for."""
    if other in services:
        check = services[other].get("healthcheck", {})
        if one.condition == CONDITIONS[1] and (check.get("disable") or check.get("test") == ("NONE",)):
            raise where.error(f"{other} can never be healthy: its check is switched off")
    elif one.required:
        if other in everything:
            raise where.error(f"waits for {other}, which no active profile has", "name its profile in `profiles`")
        raise where.error(f"there is no service {other}", nearest(other, everything))


def _place(where: Where, name: str, one: Dependency) -> Where:
    return replace(where, label=f"services.{name}.depends_on", origin=one.origin)
