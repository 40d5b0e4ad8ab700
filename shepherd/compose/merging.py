"""Two files that say something of the same: mappings are merged, lists joined, all else is the second one's.

Commands are tuples, so that they are replaced; mounts, configs and secrets are mappings by their place inside.
(compose-spec, 13-merge.md)
"""

from __future__ import annotations

from typing import Any

from shepherd.compose.yaml_file import Override, Reset
from shepherd.origin import Mapping


def merge(base: Any, over: Any) -> Any:
    """What `base` is with `over` on top; neither is changed. `!reset` and `!override` of `over` are done, and gone."""
    if isinstance(over, Override):
        return merge(None, over.value)
    if isinstance(over, dict):
        return _mappings(base if isinstance(base, dict) else Mapping(), over)
    if isinstance(base, list) and isinstance(over, list):
        return base + [one for one in over if one not in base]
    return over


def _mappings(base: dict[Any, Any], over: dict[Any, Any]) -> Mapping:
    made = Mapping(base)
    origin = getattr(over, "origin", None) or getattr(base, "origin", None)
    if origin:
        made.origin = origin
    for key, value in over.items():
        if isinstance(value, Reset):
            made.pop(key, None)
        else:
            made[key] = merge(made.get(key), value)
    return made
