"""The JSON events are documented, field by field: programs depend on them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from shepherd.report import events

PAGE = (Path(__file__).parents[2] / "docs" / "output.md").read_text()


def test_every_event_and_field_is_documented() -> None:
    described = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    for kind in get_args(events.Event):
        words = set(re.findall(r"`(\w+)`", described[kind.__name__]))
        assert words >= set(kind._fields), kind.__name__
    assert set(described) == {kind.__name__ for kind in get_args(events.Event)}
