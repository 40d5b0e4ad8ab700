"""How large a layer is when it is unpacked, as far as its blob tells, and what is said where that does not fit."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

# A test of ours may import target code
from shepherd.runtime.errors import RuntimeFailure  # isort: skip
from shepherd.runtime.images import manifest, room, store  # isort: skip

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 300_000


def layer() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("zeros")
        entry.size = SIZE
        archive.addfile(entry, io.BytesIO(bytes(SIZE)))
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "least"),
    [
        (layer(), len(layer())),
        (gzip.compress(layer()), len(layer())),
        (gzip.compress(layer())[:-4] + b"\xff" * 4, 0),  # more than deflate can have made of it
        (b"\x1f\x8b", 0),
        (b"", 0),
    ],
)
def test_what_a_layer_needs(tmp_path: Path, content: bytes, least: int) -> None:
    kept: Any = store.Store(str(tmp_path))
    with kept.lease() as lease:
        digest = kept.add(content, lease)
        made: Any = manifest.Descriptor
        assert room.unpacked(kept, made("layer", digest, len(content))) == max(least, len(content))


def test_what_does_not_fit_is_told_with_both_sizes(tmp_path: Path) -> None:
    room.check(str(tmp_path), 1, "a byte")
    with pytest.raises(
        RuntimeFailure, match=r"no room for all of it in .*: it needs at least 1e\+03TB, and \S+ are free"
    ):
        room.check(str(tmp_path), 10**15, "all of it")
