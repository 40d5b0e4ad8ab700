"""A store and a context of each test's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builds import Builds, busybox
from canaries import SECRET, WANTED

from shepherd.runtime.images import layers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def builds(tmp_path: Path) -> Iterator[Builds]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for mounts and namespaces")
    made = Builds(tmp_path)
    yield made
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture(scope="session")
def with_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an image base:1 of busybox, its layer unpacked. Nothing writes to its files: they can be shared."""
    made = Builds(tmp_path_factory.mktemp("base"))
    made.load_base()
    layers.ensure(made.image("base:1"))
    return made.root


@pytest.fixture
def base(builds: Builds, request: pytest.FixtureRequest) -> Builds:
    """A store and a context, with base:1 in the store."""
    if busybox() is None:
        pytest.skip("needs a busybox without libraries (Debian: busybox-static)")
    subprocess.run(["cp", "-al", str(request.getfixturevalue("with_base")), str(builds.root)], check=True)
    (builds.root / "lock").unlink(missing_ok=True)  # each its own
    return builds


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the store and the context; it and the machine's files are afterwards as they were."""
    place = tmp_path / "canary"
    (place / "inner").mkdir(parents=True)
    (place / "secret").write_text(SECRET)
    (place / "secret").chmod(0o600)

    def state() -> object:
        below = {
            str(one): (one.lstat()[:6], one.lstat().st_mtime_ns, one.read_text() if one.is_file() else None)
            for one in [place, *place.rglob("*")]
        }
        return below, [os.stat(path)[:7] for path in WANTED], sorted(os.listdir("/"))

    before = state()
    yield place
    assert state() == before
