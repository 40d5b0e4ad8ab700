"""A bundle of each test's own, with nothing left of it afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from bundles import Bundle, busybox

from shepherd.runtime.linux import cgroups

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


@pytest.fixture
def group(bundle: Bundle) -> cgroups.Group:
    """The bundle's control group."""
    found = cgroups.Group(bundle.linux["cgroupsPath"].strip("/"))
    if not found.found:
        pytest.skip("no control groups are mounted here")
    return found
