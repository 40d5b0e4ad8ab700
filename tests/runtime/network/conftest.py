"""A host of each test's own, in network namespaces, with nothing left of it afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from places import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    made = Host(tmp_path)
    yield made
    made.destroy()
