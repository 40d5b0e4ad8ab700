"""Images beside skopeo and umoci: the same image, in turn.

Two things are compared: an OCI archive into a store (`image import --no-unpack`, `skopeo copy`), and a layer of it into
files (`layers.ensure`, `umoci unpack`). Ours is on the disk when it returns; the others leave that to the kernel, so
their times are also shown with a sync after them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from place import ratio, show

if TYPE_CHECKING:
    from place import Place

OCI = "application/vnd.oci.image."

UNPACK = """
import sys
sys.path.insert(0, sys.argv[2])
from shepherd.runtime.images import image, layers
from shepherd.runtime.images.store import Store
layers.ensure(image.find(Store(sys.argv[1]), "bench:1"))
"""


def make(sources: list[str], place: Path) -> tuple[int, int]:
    """Write the layout of an image with these folders in it; return bytes and number of its files."""
    (place / "blobs/sha256").mkdir(parents=True)
    plain = place / "layer.tar"
    with tarfile.open(plain, "w") as tar:
        for source in sources:
            tar.add(source, source.lstrip("/"), filter=lambda info: info if info.type in b"0125" else None)
        count = len(tar.getmembers())
    with plain.open("rb") as file, gzip.open(place / "layer", "wb", 6) as packed:
        shutil.copyfileobj(file, packed, 1 << 20)
    diff_id = digest_of(plain)

    def blob(data: bytes | Path, kind: str) -> dict[str, object]:
        path = data if isinstance(data, Path) else place / "document"
        if isinstance(data, bytes):
            path.write_bytes(data)
        digest, size = digest_of(path), path.stat().st_size
        path.rename(place / "blobs/sha256" / digest[7:])
        return {"mediaType": OCI + kind, "digest": digest, "size": size}

    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    manifest = {
        "schemaVersion": 2,
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [blob(place / "layer", "layer.v1.tar+gzip")],
    }
    found = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    found["annotations"] = {"org.opencontainers.image.ref.name": "bench:1"}
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [found]}))
    (place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    size = plain.stat().st_size
    plain.unlink()
    return size, count


def digest_of(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        for data in iter(lambda: file.read(1 << 20), b""):
            hasher.update(data)
    return "sha256:" + hasher.hexdigest()


def timed(words: list[object], folder: Path) -> tuple[float, float, float]:
    """Seconds: of the wall, of the processors, and of the wall with a sync of what it left."""
    os.sync()
    before, began = os.times(), time.perf_counter()
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, os.times()
    subprocess.run(["sync", "-f", folder], check=True)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used, time.perf_counter() - began


SOURCES = ("/usr/bin", "/usr/lib/python3", "/usr/share/perl")


def measure(place: Place, rounds: int) -> None:
    """Each with the rival that is installed."""
    folder = place.folder / "images"
    folder.mkdir()
    size, count = make([one for one in SOURCES if os.path.isdir(one)], folder / "layout")
    archive, ours, theirs, bundle = (folder / name for name in ("archive.tar", "ours", "theirs", "bundle"))
    subprocess.run(["tar", "-C", folder / "layout", "-cf", archive, "."], check=True)
    unpack = [place.python, "-I", "-S", "-c", UNPACK, ours, place.home]
    commands: dict[str, dict[str, list[object]]] = {
        "import": {"ours": [place.command, "--root", ours, "image", "import", "--no-unpack", archive]},
        "unpack": {"ours": unpack},
    }
    if shutil.which("skopeo"):
        commands["import"]["skopeo"] = ["skopeo", "copy", "-q", f"oci-archive:{archive}", f"oci:{theirs}:x"]
        if shutil.which("umoci"):
            commands["unpack"]["umoci"] = ["umoci", "unpack", "--image", f"{theirs}:x", bundle]
    table: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for _turn in range(rounds):
        for what, some in commands.items():
            for name, words in some.items():
                table.setdefault((what, name), []).append(timed(words, folder))
        for one in (ours, theirs, bundle):
            shutil.rmtree(one, ignore_errors=True)
    rows = []
    for (what, name), figures in table.items():
        parts = [[one[part] for one in figures] for part in range(3)]
        row = [what, name, *(f"{statistics.median(part):.2f}" for part in parts)]
        row.append(f"{size / statistics.median(parts[0]) / 1e6:.0f}")
        mine = [[one[part] for one in table[what, "ours"]] for part in range(3)]
        row.append("" if name == "ours" else " ".join(f"{ratio(a, b):.2f}" for a, b in zip(mine, parts, strict=True)))
        rows.append(row)
    heads = ["", "", "wall", "cpu", "with a sync", "MB/s", "ours / theirs"]
    show(f"an image of {count} files, {size / 1e6:.0f} MB, in seconds", heads, rows)
