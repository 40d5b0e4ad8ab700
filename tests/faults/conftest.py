"""Two hosts to spoil things on; afterwards nothing of ours may run there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plays import Fleet, eventually, helpers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shepherd.lab.session import LabSession


@pytest.fixture
def fleet(lab: LabSession, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(lab, tmp_path)
    yield fleet
    for host in (fleet.first, fleet.second):
        assert eventually(lambda host=host: not helpers(host)), host.exec(["ps", "axf"]).stdout
