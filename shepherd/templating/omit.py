"""`omit`: a value that takes its option away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# A string, since templates join it with others and compare it; no user's text contains it by accident.
OMIT = "__omit_place_holder__5f0b8c1c2d6a4e8fb0f7d1a7c3e9"


def drop_omitted(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """`values` without the entries that are OMIT, in nested mappings too. Lists stay as they are, as in Ansible."""
    return {
        key: drop_omitted(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if not (isinstance(value, str) and value == OMIT)
    }
