"""Users without rights, with nothing of theirs left afterwards."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

for folder in ("images", "containers"):
    sys.path.insert(0, str(Path(__file__).parent.parent / folder))  # images are made there

from containers import base, busybox  # noqa: E402
from image_maker import Layout, entry, layer  # noqa: E402
from people import Machine, User  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become other users")
    if busybox() is None:
        pytest.skip("needs a busybox without libraries (Debian: busybox-static)")
    missing = [name for name in ("unshare", "nsenter", "setpriv", "newuidmap") if not shutil.which(name)]
    if missing:
        pytest.skip(f"needs {missing} (Debian: util-linux, uidmap)")
    place = Path(tempfile.mkdtemp(prefix="shepherd-rootless-", dir="/var/tmp"))
    place.chmod(0o755)
    made = Machine(place)
    layout = Layout(place / "layout")
    high = entry("data/high", data=b"x", uid=200000, gid=200000, mode=0o6755)
    theirs = entry("data/theirs", data=b"x", uid=33, gid=33, mode=0o4755)
    image = layout.image([layer(*base()), layer(high, theirs, entry("data/.wh.seed"))], config={"Env": ["PATH=/bin"]})
    layout.name(image, "box:1")
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def settled(machine: Machine) -> dict[str, User]:
    """Both users, each with the image."""
    found = {name: User(machine, name) for name in ("carol", "dave")}
    for one in found.values():
        one.do("image", "import", machine.place / "layout")
    return found


@pytest.fixture
def carol(settled: dict[str, User]) -> Iterator[User]:
    yield settled["carol"]
    settled["carol"].end()


@pytest.fixture
def dave(settled: dict[str, User]) -> Iterator[User]:
    yield settled["dave"]
    settled["dave"].end()


@pytest.fixture(params=["carol", "dave"])
def user(request: pytest.FixtureRequest, settled: dict[str, User]) -> Iterator[User]:
    """With subordinate ids, and without."""
    yield settled[request.param]
    settled[request.param].end()
