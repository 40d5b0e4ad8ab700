"""A bundle of each test's own, with nothing left of it afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from bundles import Bundle, busybox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for namespaces")
    if busybox() is None:
        pytest.skip("needs a busybox without libraries (Debian: busybox-static)")
    made = Bundle(tmp_path)
    yield made
    made.destroy()
