"""A runtime of each test's own, with nothing left of it afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "images"))  # images are made there

from containers import Runtime, busybox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """One whose image the others have, too, without loading it again."""
    return Runtime(tmp_path_factory.mktemp("loaded"))


@pytest.fixture
def runtime(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Runtime]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for namespaces")
    if busybox() is None:
        pytest.skip("needs a busybox without libraries (Debian: busybox-static)")
    made = Runtime(tmp_path, request.getfixturevalue("loaded"))
    yield made
    made.destroy()


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder that no container may touch or read, with its content before and after compared."""
    place = tmp_path / "canary"
    place.mkdir()
    (place / "secret").write_text("not yours")
    (place / "secret").chmod(0o600)
    before = {one: os.lstat(one) for one in (place, place / "secret", Path("/etc/passwd"), Path("/etc/hosts"))}
    yield place
    assert sorted(os.listdir(place)) == ["secret"]
    assert (place / "secret").read_text() == "not yours"
    for one, state in before.items():
        now = os.lstat(one)
        assert (now.st_ino, now.st_mode, now.st_uid, now.st_mtime_ns) == (
            state.st_ino, state.st_mode, state.st_uid, state.st_mtime_ns,
        ), one  # fmt: skip
