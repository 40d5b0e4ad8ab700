"""The controller's half of the modules that have one: `async def run(step) -> result`, a file for each.

A module that happens on the controller alone has its SPEC here too; the others keep theirs in `modules/`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from shepherd.engine.step import Step

Action = Callable[["Step"], Awaitable[dict[str, Any]]]


@cache
def find(name: str) -> Action | None:
    """The action of module `name`, or None where the module runs on the target as it is."""
    if name not in names():
        return None
    action: Action | None = getattr(_half(name), "run", None)
    return action


def one_request(name: str) -> bool:
    """Is a run of module `name` one request to the target? An action says so with ONE_REQUEST = True."""
    return name not in names() or bool(getattr(_half(name), "ONE_REQUEST", False))


def _half(name: str) -> ModuleType:
    return importlib.import_module(f"shepherd.actions.{name}")


@cache
def names() -> frozenset[str]:
    return frozenset(
        entry.name[:-3]
        for entry in os.scandir(os.path.dirname(__file__))
        if entry.name.endswith(".py") and not entry.name.startswith("_")
    )
