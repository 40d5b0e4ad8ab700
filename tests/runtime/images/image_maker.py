"""Images and layers as tests need them, made by Python's tarfile and by hand, not by what is tested."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path

OCI = "application/vnd.oci.image."


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo()
    info.name = name
    info.type = kind
    info.size = len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def folder(name: str, **fields: object):
    return entry(name, tarfile.DIRTYPE, **fields)


def symlink(name: str, target: str, **fields: object):
    return entry(name, tarfile.SYMTYPE, linkname=target, **fields)


def hardlink(name: str, target: str):
    return entry(name, tarfile.LNKTYPE, linkname=target)


def layer(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    # encoding: names of any bytes, as surrogates
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if info.isreg() or data else None)
    return out.getvalue()


def packed(data: bytes, how: str = "gzip") -> bytes:
    return gzip.compress(data, 1, mtime=0) if how == "gzip" else data


class Layout:
    """An OCI image layout in a folder."""

    def __init__(self, path: Path):
        self.path = path
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.manifests: list[dict] = []
        self.write_index()

    def blob(self, data: bytes) -> str:
        digest = sha256(data)
        (self.path / "blobs" / "sha256" / digest[7:]).write_bytes(data)
        return digest

    def described(self, data: bytes, media_type: str, **more: object) -> dict:
        return {"mediaType": media_type, "digest": self.blob(data), "size": len(data), **more}

    def image(
        self, layers: list[bytes], diff_ids: list[str] | None = None, how: str = "gzip", **config: object
    ) -> dict:
        """Add an image of these layers and return its descriptor."""
        found = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids or [sha256(data) for data in layers]},
            **config,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI + "manifest.v1+json",
            "config": self.described(json.dumps(found).encode(), OCI + "config.v1+json"),
            "layers": [
                self.described(packed(data, how), OCI + "layer.v1.tar" + ("+gzip" if how == "gzip" else ""))
                for data in layers
            ],
        }
        return self.described(json.dumps(manifest).encode(), OCI + "manifest.v1+json")

    def index(self, descriptors: list[dict]) -> dict:
        found = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": descriptors}
        return self.described(json.dumps(found).encode(), OCI + "index.v1+json")

    def name(self, descriptor: dict, name: str | None) -> None:
        annotations = {"org.opencontainers.image.ref.name": name} if name else {}
        self.manifests.append({**descriptor, "annotations": annotations})
        self.write_index()

    def write_index(self) -> None:
        found = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": self.manifests}
        (self.path / "index.json").write_text(json.dumps(found))


def tree(path: Path | str) -> dict[str, tuple]:
    """Everything about every file below: for comparing two trees, or one before and after."""
    found = {}
    top = os.fsencode(path)
    for where, folders, names in os.walk(top):
        for name in [b"", *folders, *names] if where == top else [*folders, *names]:
            full = os.path.join(where, name) if name else top
            state = os.lstat(full)
            content: object = None
            if stat.S_ISREG(state.st_mode):
                content = hashlib.sha256(Path(os.fsdecode(full)).read_bytes()).hexdigest()
            elif stat.S_ISLNK(state.st_mode):
                content = os.readlink(full)
            attributes = {key: os.getxattr(full, key, follow_symlinks=False) for key in sorted(_attributes(full))}
            found[os.fsdecode(os.path.relpath(full, top))] = (
                stat.filemode(state.st_mode), state.st_uid, state.st_gid, state.st_rdev,
                None if stat.S_ISLNK(state.st_mode) else state.st_mtime_ns, content, attributes,
            )  # fmt: skip
    return found


def _attributes(path: bytes) -> list[str]:
    return [name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("security.selinux")]
