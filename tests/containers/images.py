"""Small images for tests: busybox of this machine, as docker save and as other programs write archives."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

BUSYBOX = Path("/usr/bin/busybox")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
PROGRAMS = ("sh", "sleep", "cat", "echo", "test", "wget", "httpd", "stat")


def layer(files: dict[str, tuple[bytes, int]], links: dict[str, str] | None = None) -> bytes:
    """A tar of files (content and mode) and symbolic links."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return made.getvalue()


def base() -> bytes:
    """The layer that all of them have."""
    files = {"bin/busybox": (BUSYBOX.read_bytes(), 0o755), "etc/passwd": (b"app:x:1234:1234::/:/bin/sh\n", 0o644)}
    return layer(files, {f"bin/{name}": "busybox" for name in PROGRAMS})


def save(path: Path, *layers: bytes, name: str = "app:1", **settings: object) -> list[str]:
    """Write the docker-archive of an image; the digests of its layers."""
    digests = [hashlib.sha256(one).hexdigest() for one in layers]
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {"Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"], "StopSignal": "SIGKILL", **settings},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [f"{one}.tar" for one in digests]}]
    members = {f"{digest}.tar": one for digest, one in zip(digests, layers, strict=True)}
    members |= {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    beside = path.with_suffix(".part")
    with tarfile.open(beside, "w") as archive:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    beside.rename(path)
    return [f"sha256:{one}" for one in digests]
