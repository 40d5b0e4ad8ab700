"""`volumes_from`: a service has what another one has mounted, all of it, in the same places."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shepherd.compose import shape
from shepherd.origin import Mapping, Text

if TYPE_CHECKING:
    from shepherd.compose.project import Project
    from shepherd.compose.where import Where

_MODES = ("ro", "rw")


def volumes_from(value: Any, where: Where) -> Mapping:
    """service → ro or rw, of a list of SERVICE[:ro|rw]"""
    made = Mapping()
    for position, one in enumerate(shape.strings(value, where)):
        place = where.into(position, value[position] if isinstance(value, list) else value)
        if one.startswith("container:"):
            raise place.error("what is no service of the file cannot be asked", "name the volumes of both")
        name, _colon, mode = one.partition(":")
        if mode and mode not in _MODES:
            raise place.error(f"{one[:60]!r} should be SERVICE, SERVICE:ro or SERVICE:rw")
        made[Text(name, place.origin) if place.origin else name] = mode or "rw"
    return made


def share(project: Project) -> None:
    """Give each service the mounts of those that it names; its own go before. The services are in their order."""
    for name, service in project.services.items():
        for other, mode in service.get("volumes_from", {}).items():
            where = project.where(name, "volumes_from", getattr(other, "origin", None))
            mounts = Mapping(project.services[other].get("volumes", {})) if other in project.services else Mapping()
            for target, mount in mounts.items():
                if mount.kind == "volume" and not mount.source:
                    with project.faults:
                        raise where.error(f"what {other} has at {target} is a volume without a name", "give it one")
                options = sorted({*mount.options, "ro"}) if mode == "ro" else mount.options
                mounts[target] = replace(mount, options=tuple(options))
            service["volumes"] = Mapping({**mounts, **service.get("volumes", {})})
