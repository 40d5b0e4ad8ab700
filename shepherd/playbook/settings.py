"""Keywords that are inherited, merged: what a block, role or play says holds for everything inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd import spec
from shepherd.errors import ParseError, nearest
from shepherd.origin import Origin, origin_of
from shepherd.playbook.keywords import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shepherd.playbook.model import Settings

_OVERRIDING = (*SETTINGS, "delegate_to", "delegate_facts", "collections")


def merge(outer: Settings, own: Mapping[str, Any], origin: Origin, library: Sequence[str]) -> Settings:
    """`outer` with the keywords `own` (as `keywords.read` returns them) of what stands inside it."""
    found = {name: own[name] for name in _OVERRIDING if own.get(name) is not None}
    if own.get("when"):
        found["when"] = (*outer.when, *own["when"])
    if own.get("tags"):
        found["tags"] = outer.tags.union(own["tags"])
    if own.get("environment"):
        found["environment"] = (*outer.environment, *own["environment"])
    if own.get("module_defaults"):
        layers = module_defaults(own["module_defaults"], origin, library)
        found["module_defaults"] = (*outer.module_defaults, *layers)
    if not found:
        return outer
    return outer._replace(**found)


def defaults_for(settings: Settings, action: str) -> dict[str, Any] | None:
    """The options that module_defaults give a module, unrendered. None where a template makes that unknown."""
    options = nearest_defaults(settings, action)
    return None if isinstance(options, str) else options


def nearest_defaults(settings: Settings, action: str) -> Any:
    """As they are written nearest to the task: those of what stands around it are replaced whole, so that an empty
    mapping takes them away. A mapping, or a template that gives one."""
    for layer in reversed(settings.module_defaults):
        if action in layer:
            return layer[action]
    return {}


def module_defaults(written: Any, origin: Origin, library: Sequence[str]) -> list[Mapping[str, Any]]:
    """The layers of a module_defaults keyword, outermost first, under the modules' canonical names."""
    layers = written if isinstance(written, list) else [written]
    found: list[Mapping[str, Any]] = []
    for layer in layers:
        if not isinstance(layer, dict):
            raise ParseError(
                "module_defaults must be a mapping, or a list of them, from names of modules to their options",
                origin=origin_of(layer) or origin,
                hint="only the options may be templates",
            )
        names: dict[str, Any] = {}
        for name, options in layer.items():
            place = origin_of(layer, name) or origin
            if options is not None and not isinstance(options, (dict, str)):
                raise ParseError(f"the defaults of '{name}' must be a mapping", origin=place)
            names[_module(str(name), place, library)] = options or {}
        found.append(names)
    return found


def _module(name: str, place: Origin, library: Sequence[str]) -> str:
    known = spec.canonical(name)
    if "/" not in known and "." not in known and spec.find(known, library) is None:
        raise ParseError(
            f"Could not resolve action {name} in module_defaults",
            origin=place,
            hint=nearest(known, spec.names(library)),
        )
    return known
