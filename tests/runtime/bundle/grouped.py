"""Control groups of bundles in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bundles import Bundle


def needs(group, *controllers):
    for name in controllers:
        if group.home(name) is None:
            pytest.skip(f"this machine has no control groups with the controller {name}")


def start(bundle: Bundle, script: str, name: str = "c") -> None:
    bundle.process["args"] = ["sh", "-c", script]
    bundle.create(name)
    bundle.do("start", name)
