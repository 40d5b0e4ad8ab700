"""Images that a host has, fetched over a link into the controller's store."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from links import go, linked

from shepherd.actions import _images
from shepherd.errors import ShepherdError

LAYER = os.urandom(200_000)
FORM = "application/vnd.oci.image"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a build host says of an image in its store, the folder `host`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "host" / "blobs" / "sha256"
    folder.mkdir(parents=True)

    def keep(content: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (folder / digest).write_bytes(content)
        return {"mediaType": f"{FORM}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    layer = keep(LAYER, "layer.v1.tar")
    config = keep(json.dumps({"rootfs": {"diff_ids": [layer["digest"]]}}).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": f"{FORM}.manifest.v1+json", "config": config, "layers": [layer]}
    descriptor = keep(json.dumps(manifest).encode(), "manifest.v1+json")
    return {"descriptor": descriptor, "blobs": [[one["digest"], one["size"]] for one in (descriptor, config, layer)]}


def test_what_came_in_part_is_gone_on_with_and_what_is_here_is_not_asked_for(told, tmp_path):
    asked: list[tuple[str, int]] = []
    layer = told["blobs"][2][0].partition(":")[2]
    staging = Path(_images.root()) / "staging"
    staging.mkdir(parents=True)
    (staging / f"blob-sha256-{layer}").write_bytes(LAYER[:150_000])  # as a connection left it that broke

    async def main():
        async with linked() as link:
            get = link.get

            async def noted(path, sink, *, offset=0):
                asked.append((os.path.basename(path), offset))
                return await get(path, sink, offset=offset)

            link.get = noted
            for _time in range(2):
                image = await _images.fetched(link, str(tmp_path / "host"), told)
        assert dict(image.blobs)[f"sha256:{layer}"] == len(LAYER)

    go(main())
    assert [offset for name, offset in asked if name == layer] == [150_000]
    assert len(asked) == 3
    assert (Path(_images.root()) / "blobs" / "sha256" / layer).read_bytes() == LAYER


def test_another_content_than_was_told_is_refused(told, tmp_path):
    digest = told["blobs"][2][0].partition(":")[2]
    (tmp_path / "host" / "blobs" / "sha256" / digest).write_bytes(LAYER[::-1])

    async def main():
        async with linked() as link:
            with pytest.raises(ShepherdError, match="has other content"):
                await _images.fetched(link, str(tmp_path / "host"), told)

    go(main())
    assert not (Path(_images.root()) / "blobs" / "sha256" / digest).exists()
