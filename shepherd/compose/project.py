"""A project: Compose files as a whole, with what holds between their parts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shepherd.compose import dependency, document, environment, volumes_from
from shepherd.compose.where import Faults, Where
from shepherd.errors import nearest
from shepherd.origin import Mapping, Origin, origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping as Lookup
    from collections.abc import Sequence

    from shepherd.compose.port import Port


@dataclass
class Project:
    """`services` are those of the active profiles, each behind those that it waits for.

    `faults` is what is wrong between the parts, to be told with what `declare` finds.
    """

    name: str
    folder: str
    variables: dict[str, str]
    services: dict[str, Mapping]
    networks: Mapping
    volumes: Mapping
    configs: Mapping
    secrets: Mapping
    top: Where
    faults: Faults = field(default_factory=Faults)

    def where(self, service: str, part: str = "", origin: Any = None) -> Where:
        """The place of a service, or of a field of it."""
        found = self.services[service]
        label = f"services.{service}.{part}" if part else f"services.{service}"
        known = origin_of(found, part) if part else origin_of(found)
        return replace(self.top, label=label, origin=origin or known or self.top.origin)

    @cached_property
    def written(self) -> set[str]:
        """Folders beside the files that some service writes to: others that only read them are to see that."""
        mounts = (one for service in self.services.values() for one in service.get("volumes", {}).values())
        return {one.source for one in mounts if one.local and one.is_written}


def load(
    paths: Sequence[str],
    name: str,
    *,
    folder: str | None = None,
    variables: Lookup[str, str] | None = None,
    profiles: Sequence[str] = (),
) -> Project:
    """The project that the files make, the later ones on top. Raises ParseError for what is wrong in a file.

    `folder`: what relative paths are relative to, else the first file's folder, whose `.env` is read. `variables` hold
    before those of `.env`.
    """
    paths = [os.path.abspath(path) for path in paths]
    folder = os.path.abspath(folder or os.path.dirname(paths[0]))
    # PWD is where Compose is called: the project's folder, as every relative path has it
    known = environment.beside(folder, {"PWD": ".", **(variables or {}), "COMPOSE_PROJECT_NAME": name})
    top = Where("", Origin(paths[0]), folder)
    found = document.files(paths, folder, known, document.Reading(top.warnings))
    everything = {str(key): value for key, value in found.get("services", {}).items()}
    if not everything:
        raise top.error("there are no services in it")
    active = dependency.linked({key: value for key, value in everything.items() if _is_active(value, profiles)})
    rest = {part: found.get(part, Mapping()) for part in document.PARTS[1:]}
    project = Project(name, folder, known, active, **rest, top=top)
    with project.faults:
        project.services = {key: active[key] for key in dependency.ordered(active, everything, top)}
        volumes_from.share(project)
    for key, value in active.items():
        _check(project, key, value)
    _check_ports(project)
    return project


def _is_active(service: Mapping, profiles: Sequence[str]) -> bool:
    named = service.get("profiles")
    return not named or "*" in profiles or bool(set(named) & set(profiles))


def _check(project: Project, name: str, service: Mapping) -> None:
    if "image" not in service and "build" not in service:
        project.faults.note(project.where(name).error("should say its `image`, or how to `build` one"))
    for network in service.get("networks", ()):
        if network != "default":
            _known(project, name, "networks", network, getattr(network, "origin", None))
    for one in service.get("volumes", {}).values():
        if one.kind == "volume" and one.source:
            _known(project, name, "volumes", one.source, one.origin)
    for part in ("configs", "secrets"):
        for one in service.get(part, {}).values():
            _known(project, name, part, one.source, one.origin)
    for one in service.get("build", {}).get("secrets", {}).values():
        _known(project, name, "secrets", one.source, one.origin)
    for check in (_check_networks, _check_number):
        with project.faults:
            check(project, name, service)


def _known(project: Project, name: str, part: str, wanted: str, origin: Any) -> None:
    known = getattr(project, part)
    if wanted not in known:
        hint = nearest(wanted, map(str, known)) or f"declare it under `{part}` at the top"
        project.faults.note(project.where(name, part, origin).error(f"there is no {part[:-1]} {wanted}", hint))


def _check_networks(project: Project, name: str, service: Mapping) -> None:
    mode = service.get("network_mode")
    if mode and service.get("networks"):
        raise project.where(name, "network_mode").error("and `networks` exclude one another")
    if mode and ":" in mode:
        _check_shared(project, name, service, mode)
    if mode in ("none", "host") and service.get("ports"):
        raise project.where(name, "ports").error(f"there is none to publish with network_mode: {mode}")


def _check_shared(project: Project, name: str, service: Mapping, mode: str) -> None:
    """Of one in another container's network: what is that one's to say."""
    kind, _colon, other = mode.partition(":")
    for part in ("ports", "expose", "links", "hostname", "dns", "dns_search", "dns_opt", "extra_hosts"):
        if service.get(part):
            hint = f"say it of {other}" if kind == "service" else None
            project.faults.note(project.where(name, part).error(f"is the other's with network_mode: {mode}", hint))
    number = (replicas(project.services[other]) if other in project.services else None) if kind == "service" else None
    if number is not None and number != 1:
        raise project.where(name, "network_mode").error(f"{other} has {number} replicas, and the network is of one")


def replicas(service: Mapping) -> int | None:
    """How many instances; None where nothing is said."""
    found: int | None = service.get("scale", service.get("deploy", {}).get("replicas"))
    return found


def _check_number(project: Project, name: str, service: Mapping) -> None:
    other = service.get("deploy", {}).get("replicas")
    if "scale" in service and other not in (None, service["scale"]):
        raise project.where(name, "scale").error(f"is {service['scale']}, and deploy.replicas is {other}")
    if "container_name" in service and replicas(service) not in (None, 1):
        raise project.where(name, "container_name").error("is one name, and there are several replicas")


def _check_ports(project: Project) -> None:
    taken: dict[tuple[int, str], list[tuple[str, Port]]] = {}
    for name, service in project.services.items():
        for port in service.get("ports", ()):
            others = taken.setdefault((port.first, port.protocol), [])
            for other, one in others:
                if port.clashes(one):
                    place = f" ({one.origin})" if one.origin else ""
                    message = f"the port {port.first}/{port.protocol} is published by {other}, too{place}"
                    project.faults.note(project.where(name, "ports", port.origin).error(message))
            others.append((name, port))
