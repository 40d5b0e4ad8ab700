"""Contexts, bases of busybox made without what is tested, and builds by the command line."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from shepherd.runtime.build import staging
from shepherd.runtime.images import image, layers, manifest
from shepherd.runtime.images.store import Store
from shepherd.runtime.linux import cgroups
from tests import warm
from tests.patience import seconds

CHECKOUT = Path(__file__).parents[3]
PROGRAM = (
    f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from shepherd.runtime.cli import main;"
    " sys.exit(main(sys.argv[1:]))"
)
APPLETS = (
    "sh true false cat ls id mount echo sleep ps env readlink hostname touch mkdir rm kill stat wc mknod chmod chown ln"
    " grep umount dd mv head tail seq test date ip find sed awk cut cp rmdir sort tr printf sha256sum ping unshare"
)
PASSWD = "root:x:0:0::/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n"
GROUP = "root:x:0:\nuser:x:1001:\nextra:x:2000:user\n"


def busybox() -> str | None:
    """A busybox that needs no libraries (Debian: busybox-static)."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path) and b"/ld-linux" not in Path(path).read_bytes():
            return path
    return None


def archive(entries: dict[str, Any], path: Path | None = None, mode: str = "w") -> bytes:
    """A tar of name → text or bytes (a file), None (a folder), ("link", target), or a TarInfo with its content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for name, what in entries.items():
            info, data = tarfile.TarInfo(name), b""
            info.mtime, info.mode = 1000000, 0o644
            if what is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(what, tuple) and what[0] == "link":
                info.type, info.linkname = tarfile.SYMTYPE, what[1]
            elif isinstance(what, tuple):
                info, data = what
            else:
                data = what.encode() if isinstance(what, str) else what
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    if path is not None:
        path.write_bytes(out.getvalue())
    return out.getvalue()


def folder(name: str, mode: int) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, mode, 1000000
    return info, b""


def program(data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo("bin/busybox")
    info.mode, info.mtime = 0o755, 1000000
    return info, data


def docker_archive(name: str, layer: bytes, **config: Any) -> bytes:
    """An image of one layer, as `docker save` has it."""
    document = {
        "architecture": manifest.Platform.of_this_machine().architecture,
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "made by hand"}],
    }
    listed = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    return archive({"config.json": json.dumps(document), "layer.tar": layer, "manifest.json": json.dumps(listed)})


def pythons() -> list[str]:
    """The oldest and the newest Python 3 that targets may have, of those on this machine."""
    found = {}
    for path in Path.home().glob(".pyenv/versions/3.*/bin/python"):
        found[tuple(int(part) for part in path.parts[-3].split(".")[:2] if part.isdigit())] = str(path)
    versions = [version for version in sorted(found) if version >= (3, 6)]
    return [found[version] for version in dict.fromkeys(versions[:1] + versions[-1:])] or [sys.executable]


class Result:
    """What a build said and made."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]):
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.said = done.stderr.decode()
        assert "Traceback" not in self.said, self.said

    def steps(self, word: str) -> int:
        """How many lines say so (CACHED, DONE)."""
        return sum(line.split()[1:2] == [word] for line in self.said.splitlines() if line.startswith("#"))


class Builds:
    """A store, a context, and the command line."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "store"
        self.context = folder / "context"
        self.context.mkdir()
        self.environment: dict[str, str] = {}
        self.python = sys.executable

    def call(self, *words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": os.environ["PATH"], **self.environment}
        more = {"stdin": subprocess.DEVNULL, "timeout": seconds(120), "cwd": self.folder, "env": environment, **more}
        return warm.run(self.argv(*words), capture_output=True, check=False, **more)

    def argv(self, *words: str) -> list[str]:
        return [self.python, "-I", "-S", "-c", PROGRAM, "--root", str(self.root), *words]

    def do(self, *words: str, **more: Any) -> str:
        done = self.call(*words, **more)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def load_base(self, name: str = "base:1", entries: dict[str, Any] | None = None, **config: Any) -> None:
        """Put an image of busybox, or of these files, into the store."""
        if entries is None:
            found = busybox()
            assert found is not None
            entries = dict.fromkeys(("bin", "etc", "root", "usr", "usr/bin"))
            entries["tmp"] = folder("tmp", 0o1777)
            entries["bin/busybox"] = program(Path(found).read_bytes())
            entries.update({f"bin/{applet}": ("link", "busybox") for applet in APPLETS.split()})
            entries.update({"etc/passwd": PASSWD, "etc/group": GROUP})
        self.do("load", "-q", "--no-unpack", input=docker_archive(name, archive(entries), **config), stdin=None)

    def write(self, files: dict[str, Any]) -> None:
        """Files of the context: text, bytes, None (a folder) or ("link", target)."""
        for name, what in files.items():
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if what is None:
                path.mkdir(exist_ok=True)
            elif isinstance(what, tuple):
                path.symlink_to(what[1])
            else:
                path.write_bytes(what.encode() if isinstance(what, str) else what)

    def build(self, text: str, *words: str, tag: str = "t:1", **more: Any) -> Result:
        """Build this Containerfile, which need not succeed."""
        (self.context / "Containerfile").write_text(text)
        result = Result(self.call("build", "-t", tag, *words, str(self.context), **more))
        assert list((self.root / "staging").iterdir()) == []  # whatever happened, nothing is half there
        return result

    def built(self, text: str, *words: str, tag: str = "t:1", **more: Any) -> Result:
        """The same where it has to succeed."""
        result = self.build(text, *words, tag=tag, **more)
        assert result.code == 0, result.said
        return result

    def refused(self, text: str, *words: str, **more: Any) -> str:
        """The same where it has to fail: what it said."""
        result = self.build(text, *words, **more)
        assert result.code == 1, result.said
        return result.said

    def image(self, tag: str = "t:1") -> image.Image:
        return image.find(Store(str(self.root)), tag)

    def settings(self, tag: str = "t:1") -> dict[str, Any]:
        found: dict[str, Any] = self.image(tag).config.settings
        return found

    def digest(self, tag: str = "t:1") -> str:
        return str(self.image(tag).descriptor.digest)

    def files(self, tag: str = "t:1") -> Path:
        """The image's root, unpacked."""
        found = self.image(tag)
        place = self.folder / ("root-" + found.descriptor.digest.hex[:12])
        if not place.exists():
            place.mkdir()
            layers.flatten(found, str(place))
        return place

    def layer(self, number: int = -1, tag: str = "t:1") -> list[tarfile.TarInfo]:
        """The entries of one layer."""
        return [info for info, _ in self.layer_content(number, tag)]

    def layer_content(self, number: int = -1, tag: str = "t:1") -> list[tuple[tarfile.TarInfo, bytes]]:
        found = self.image(tag)
        with found.store.open(found.manifest.layers[number].digest) as blob:
            data = blob.read()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return [(info, (tar.extractfile(info).read() if info.isreg() else b"")) for info in tar]  # type: ignore[union-attr]

    def groups(self) -> list[str]:
        """Control groups that are left of this store's builds."""
        start = staging.prefix(Store(str(self.root)))
        tops = [Path(target, cgroups.TOP) for target, _kind, _names in cgroups.hierarchies()]
        return [str(one) for top in tops for one in top.glob(f"{start}*")]
