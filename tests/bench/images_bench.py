"""Time images beside skopeo and umoci: the same image, in turn.

    python tests/bench/images_bench.py [--rounds 5] [--source FOLDER …] [--folder PLACE]

Two things are compared: an OCI archive into a store (`image import --no-unpack`, `skopeo copy`), and a layer of it into
files (`layers.ensure`, `umoci unpack`). Ours is on the disk when it returns; the others leave that to the kernel, so
their times are also shown with a sync after them. Rounds are interleaved and each is a pair: printed are medians, and
the median of the pairs' ratios (under 1: ours is faster). Nothing is asserted. Run it as root.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OCI = "application/vnd.oci.image."

UNPACK = """
import sys
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
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    wall, after = time.perf_counter() - began, os.times()
    subprocess.run(["sync", "-f", folder], check=True)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--source", nargs="+", default=["/usr/bin", "/usr/lib/python3", "/usr/share/perl"])
    parser.add_argument("--folder", help="where to work: on the file system to be tried")
    options = parser.parse_args()
    missing = [name for name in ("skopeo", "umoci") if shutil.which(name) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        size, count = make([one for one in options.source if os.path.isdir(one)], folder / "layout")
        print(f"{count} files, {size / 1e6:.0f} MB uncompressed")
        archive = folder / "archive.tar"
        subprocess.run(
            ["skopeo", "copy", "-q", f"oci:{folder}/layout:bench:1", f"oci-archive:{archive}:bench:1"], check=True
        )
        python = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"]
        verb = "from shepherd.runtime.cli import main; sys.exit(main(sys.argv[1:]))"
        imports, unpacks = [], []
        for _ in range(options.rounds):
            ours, theirs, bundle = folder / "ours", folder / "theirs", folder / "bundle"
            words = [*python[:-1], python[-1] + verb, "--root", ours, "image", "import", "--no-unpack", archive]
            imports.append(
                (
                    timed(words, folder),
                    timed(["skopeo", "copy", "-q", f"oci-archive:{archive}", f"oci:{theirs}:x"], folder),
                )
            )
            words = [*python[:-1], python[-1] + UNPACK, ours]
            unpacks.append((timed(words, folder), timed(["umoci", "unpack", "--image", f"{theirs}:x", bundle], folder)))
            for one in (ours, theirs, bundle):
                shutil.rmtree(one)
        show("import", "skopeo", imports, size)
        show("unpack", "umoci", unpacks, size)


def show(what: str, rival: str, pairs: list, size: int) -> None:
    for number, name in ((0, "ours"), (1, rival)):
        wall, used, synced = (statistics.median(pair[number][part] for pair in pairs) for part in range(3))
        print(
            f"{what:8} {name:8} {wall:6.2f} s, {used:6.2f} s of processors, {synced:6.2f} s synced, "
            f"{size / wall / 1e6:5.0f} MB/s"
        )
    ratios = [statistics.median(ours[part] / theirs[part] for ours, theirs in pairs) for part in range(3)]
    print(
        "{:8} ours/{}: {:.2f} of the wall, {:.2f} of processors, {:.2f} of the wall synced".format(what, rival, *ratios)
    )


if __name__ == "__main__":
    main()
