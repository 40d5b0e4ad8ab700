"""Fuzzing by coverage of what reads images and configurations, with atheris (libFuzzer): not part of the suite.

    python tests/runtime/fuzz/fuzz.py TARGET [-max_total_time=300] [further words for libFuzzer]

A target takes any bytes; what it does not understand it refuses with RuntimeFailure. Everything else that is raised is
a fault, as is a file that is written outside the folder an archive is unpacked into. `inv fuzz TARGET` runs one.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).parents[3]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "runtime" / "images")]

import atheris  # noqa: E402 - it has to come before what it looks into

with atheris.instrument_imports(include=["shepherd.runtime"]):
    from shepherd.runtime.build import containerfile
    from shepherd.runtime.bundle import config, document, template
    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import compression, documents, manifest, tar_reader, trees
    from shepherd.runtime.images.unpack import Limits, Unpacker

from image_maker import OCI, entry, folder, hardlink, layer, sha256, symlink  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = layer(
    folder("d", mode=0o750), entry("d/file", data=b"content" * 100, mtime=1.5), symlink("d/l", "../../canary/file"),
    hardlink("h", "d/file"), entry("n" * 90 + "/" + "m" * 150, pax_headers={"SCHILY.xattr.user.a": "b"}),
    entry("d/.wh.gone"), entry("d/.wh..wh..opq"),
)  # fmt: skip


@functools.cache
def top() -> Path:
    """A folder with what archives are unpacked into, and a canary beside it."""
    made = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (made / "canary").mkdir()
    (made / "canary" / "file").write_text("as it was")
    return made


def repaired(data: bytes) -> bytes:
    """A tar whose headers have the checksums that fit what was made of them: else the reader gets no further."""
    made = bytearray(data)
    for start in range(0, len(made) - 511, 512):
        if made[start + 257 : start + 262] == b"ustar":
            made[start + 148 : start + 156] = b" " * 8
            made[start + 148 : start + 156] = b"%06o\0 " % sum(made[start : start + 512])
    return bytes(made)


def unpack(data: bytes) -> None:
    """A layer: into a folder, as an overlay's and as a flat tree."""
    place = top()
    (place / "root").mkdir()
    opened = trees.open_folder(str(place / "root"))
    try:
        form = "trusted" if os.geteuid() == 0 and len(data) % 2 else "flat"
        Unpacker(opened, form, Limits(size=1 << 22)).unpack(tar_reader.Stream([repaired(data)]))
    finally:
        os.close(opened)
        trees.remove(str(place / "root"))
        assert os.listdir(place) == ["canary"]
        assert os.listdir(place / "canary") == ["file"]
        assert (place / "canary" / "file").read_text() == "as it was"


def entries(data: bytes) -> None:
    """The tar reader alone, by far faster; the bytes come in pieces."""
    size = 1 + (data[0] if data else 0)
    if size % 2:
        data = repaired(data)
    pieces = [data[start : start + 7 * size] for start in range(0, len(data), 7 * size)]
    for found in tar_reader.entries(tar_reader.Stream(pieces)):
        assert b"\0" not in found.name


def packed(data: bytes) -> None:
    """What is compressed, and says so or not."""
    size = 0
    for piece in compression.pieces(io.BytesIO(data))[1]:
        size += len(piece)
        if size > 1 << 20:
            break


def image(data: bytes) -> None:
    """Manifests, indexes and configurations of images."""
    documents.read(data, "document")
    for read in (manifest.read, manifest.read_any_config):
        try:
            read(data)
        except RuntimeFailure:
            continue


def bundle(data: bytes) -> None:
    """config.json of a bundle."""
    found = document.loads(data, "config.json")
    if isinstance(found, dict):
        config.check(found)


def instructions(data: bytes) -> None:
    """A Containerfile."""
    containerfile.parse(data, "Containerfile")


DIGEST = sha256(b"")
MANIFEST = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
            "config": {"mediaType": OCI + "config.v1+json", "digest": DIGEST, "size": 0},
            "layers": [{"mediaType": OCI + "layer.v1.tar+gzip", "digest": DIGEST, "size": 0}]}  # fmt: skip
CONFIG = {"architecture": "amd64", "os": "linux", "config": {"Env": ["A=b"], "Cmd": ["sh"]},
          "rootfs": {"type": "layers", "diff_ids": [DIGEST]}, "history": [{"created_by": "x"}]}  # fmt: skip
# name: (what takes the bytes, what to begin with)
TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "tar": (entries, [SAMPLE, layer(entry("a", data=b"x")), layer(entry("s" * 200), form=1)]),
    "unpack": (unpack, [SAMPLE]),
    "packed": (packed, [gzip.compress(SAMPLE), gzip.compress(b"a") * 2]),
    "image": (image, [json.dumps(one).encode() for one in (MANIFEST, CONFIG, {"manifests": [MANIFEST["config"]]})]),
    "bundle": (bundle, [json.dumps(one).encode() for one in (template.config(), template.rootless())]),
    "containerfile": (instructions, [b'FROM a AS b\nRUN --mount=type=cache,target=/c <<E\nx\nE\nCOPY ["a", "b"]\n']),
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__}\ntargets: {', '.join(TARGETS)}")
    if "FUZZ_FOLDER" not in os.environ:  # libFuzzer ends its process at once: another one clears up after it
        with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
            environment = {**os.environ, "FUZZ_FOLDER": place, "TMPDIR": place}
            sys.exit(subprocess.run([sys.executable, __file__, *sys.argv[1:]], env=environment, check=False).returncode)
    name = sys.argv.pop(1)
    take, seeds = TARGETS[name]

    def once(data: bytes) -> None:
        try:
            take(data)
        except RuntimeFailure as failure:
            assert failure.message

    corpus = Path(tempfile.mkdtemp(prefix="corpus-"))
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    prefix = f"-artifact_prefix={Path.cwd()}/fuzz-{name}-"  # what is found stays
    atheris.Setup([*sys.argv, "-max_len=8192", prefix, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
