"""A lab name of each test's own, with nothing left of it afterwards whatever the test did."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from shepherd.lab.checks import obstacle
from shepherd.lab.down import down_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    problem = obstacle()
    if problem is not None:
        pytest.skip(problem.message)
    found = f"t{os.getpid()}"
    yield found
    down_by_name(found)
