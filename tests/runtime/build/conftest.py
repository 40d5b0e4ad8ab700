"""A store and a context of each test's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builds import Builds, busybox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def builds(tmp_path: Path) -> Iterator[Builds]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for mounts and namespaces")
    made = Builds(tmp_path)
    yield made
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def base(builds: Builds) -> Builds:
    """The same, with an image base:1 of busybox in the store."""
    if busybox() is None:
        pytest.skip("needs a busybox without libraries (Debian: busybox-static)")
    builds.load_base()
    return builds
