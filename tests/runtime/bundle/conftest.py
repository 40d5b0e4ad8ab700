"""A bundle of each test's own, with nothing left of it afterwards."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import Bundle, busybox

from shepherd.runtime.linux import cgroups, launcher

if TYPE_CHECKING:
    from collections.abc import Iterator


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


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Files of the machine's that are as they were afterwards: a folder, the interpreter, and the runtime itself."""
    place = tmp_path / "canary"
    place.mkdir()
    (place / "secret").write_text("not yours")
    (place / "secret").chmod(0o600)
    watched = [Path(os.path.realpath(sys.executable)), *Path(launcher.__file__).parents[1].rglob("*.py")]

    def seen() -> object:
        found = {str(one): hashlib.sha256(one.read_bytes()).hexdigest() for one in [*watched, place / "secret"]}
        return found, sorted(os.listdir(place)), Path("/proc/sys/kernel/core_pattern").read_text(), os.stat("/etc")[:3]

    before = seen()
    yield place
    assert seen() == before
