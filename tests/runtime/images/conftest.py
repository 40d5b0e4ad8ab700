"""A store of each test's own, and a canary: files outside that no image may touch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from image_maker import Layout, layer, tree

from shepherd.runtime.images import archive, image, layers
from shepherd.runtime.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the store, which is as it was afterwards; so are the host's files that attackers want."""
    place = tmp_path / "canary"
    place.mkdir()
    (place / "secret").write_text("not yours")
    (place / "secret").chmod(0o600)
    (place / "inner").mkdir()
    (place / "inner" / "file").write_text("as it was")
    wanted = ["/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc", "/tmp/../etc"]
    before = tree(place), [os.stat(path)[:9] for path in wanted], sorted(os.listdir("/"))
    yield place
    after = tree(place), [os.stat(path)[:9] for path in wanted], sorted(os.listdir("/"))
    assert [one[:7] for one in after[1]] == [one[:7] for one in before[1]]
    assert (after[0], after[2]) == (before[0], before[2])


@pytest.fixture
def unpacked(store: Store, tmp_path: Path) -> Callable[..., list[Path]]:
    """Import an image of these layers (bytes, or a list of entries each) and return the folders of its layers."""
    count = 0

    def unpack(*contents: object, **more: object) -> list[Path]:
        from pathlib import Path

        nonlocal count
        count += 1
        layout = Layout(tmp_path / f"layout{count}")
        data = [one if isinstance(one, bytes) else layer(*one) for one in contents]
        layout.name(layout.image(data, **more), f"test:{count}")
        with store.lease() as lease:
            found = archive.load(store, str(layout.path), lease)
            return [Path(path) for path in layers.ensure(image.read(store, found[0][1]))]

    return unpack
