"""The same Containerfiles built by buildah: the same files, and the same said of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from builds import archive

from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builds import Builds

pytestmark = pytest.mark.lab
BUILDAH = os.environ.get("SHEPHERD_BUILDAH") or shutil.which("buildah")


class Buildah:
    """With a store of its own; steps by its simplest isolation."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.words = [
            str(BUILDAH),
            "--root",
            f"{folder}/theirs",
            "--runroot",
            f"{folder}/run",
            "--storage-driver",
            "vfs",
        ]

    def do(self, *words: str) -> str:
        done = subprocess.run([*self.words, *words], capture_output=True, text=True, timeout=seconds(300), check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def files(self, image: str) -> Path:
        from pathlib import Path

        return Path(self.do("mount", self.do("from", "--pull-never", image)))


@pytest.fixture
def buildah(base: Builds) -> Iterator[Buildah]:
    if not BUILDAH:
        pytest.skip("needs buildah")
    made = Buildah(base.folder)
    base.do("save", "-o", str(base.folder / "base.tar"), "--format", "docker", "base:1")
    made.do("tag", made.do("pull", f"docker-archive:{base.folder}/base.tar").split()[-1], "localhost/base:1")
    yield made
    made.do("rm", "--all")


def tree(root: Path) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if name.split("/")[0] in ("proc", "sys", "dev", "run") or name in (
            "etc/hosts",
            "etc/resolv.conf",
            "etc/hostname",
        ):
            continue
        state = path.lstat()
        content: Any = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        found[name] = (oct(state.st_mode), state.st_uid, state.st_gid, content)
    return found


CASES = {
    "copies": "COPY d /x\nCOPY d/one /y/\nCOPY *.txt /z/\nCOPY a.txt /etc\nCOPY d/sub /x\nCOPY to-one /followed\n",
    "owners": "COPY --chown=user:extra d /x\nCOPY --chown=3 a.txt /y\nCOPY --chmod=640 a.txt /z\n"
    "COPY --chown=user d /w/e/f\n",
    "users": "USER user\nRUN id -un > /tmp/a; id -g >> /tmp/a; echo $HOME >> /tmp/a\nUSER 1000:0\nRUN id -g > /tmp/b\n"
    "WORKDIR /tmp/w\nRUN pwd > /tmp/c\n",
    "words": 'ARG a=1\nENV b="x $a" c=\'$a\' d=\\$a e=${a:+y}${n:-z}\nLABEL l="$b"\nRUN echo "$b|$c|$d|$e" > /out\n',
    "arguments": "ARG given\nARG TARGETOS\nENV v=$given\nRUN echo $given $TARGETOS > /out\n",
    "commands": 'CMD a b\nENTRYPOINT ["x"]\nCMD c d\n',
    "entrypoint": 'CMD ["a"]\nENTRYPOINT x y\nVOLUME /v\nVOLUME ["/w w"]\n',
    "ports": "EXPOSE 80 90/udp\nSTOPSIGNAL SIGINT\nWORKDIR a\nWORKDIR b/../c\nRUN pwd > out\n",
    "archive": "ADD x.tar /x/\nADD x.tar.gz /y\nCOPY x.tar /z\n",
    "removed": "RUN rm -rf /etc/group /usr && mkdir /usr && echo x > /usr/f && ln /usr/f /usr/g\n",
    "ignored": "COPY . /x\n",
    "health": "HEALTHCHECK --interval=5s --retries=2 CMD test -f /x\n",
    "here-and-there": "RUN [ -f /etc/passwd ] && echo yes > /out \\\n # no\n && true\n",
}


@pytest.mark.parametrize("name", CASES)
def test_as_buildah_has_it(base: Builds, buildah: Buildah, name):
    base.write({"a.txt": "a", "b.txt": "b", "d/one": "1", "d/sub/two": "2", "d/sub/link": ("link", "../one")})
    base.write(
        {"to-one": ("link", "d/one"), "secret/x": "s", "secret/y": "t", ".dockerignore": "secret\n!secret/y\n*.gz\n"}
    )
    base.write({"x.tar": archive({"in": "x", "e": None, "e/l": ("link", "../in")})})
    if name == "archive":
        (base.context / ".dockerignore").unlink()
    base.write({"x.tar.gz": archive({"in": "x"}, mode="w:gz")})
    (base.context / "d/sub/two").chmod(0o751)
    text = "FROM localhost/base:1\n" + CASES[name]
    base.do("tag", "base:1", "localhost/base:1")
    base.built(text, "--build-arg", "given=7")
    words = [
        "bud",
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "--layers",
        "--build-arg",
        "given=7",
        "-t",
        "theirs:1",
    ]
    buildah.do(*words, "-f", str(base.context / "Containerfile"), str(base.context))
    ours, theirs = tree(base.files()), tree(buildah.files("theirs:1"))
    assert {key: (ours[key], theirs.get(key)) for key in ours if ours[key] != theirs.get(key)} == {}
    assert sorted(theirs) == sorted(ours)
    buildah.do("push", "-q", "theirs:1", f"docker-archive:{base.folder}/theirs.tar:theirs:1")
    base.do("load", "-q", "--no-unpack", str(base.folder / "theirs.tar"))
    assert comparable(base.settings()) == comparable(base.settings("theirs:1"))


def comparable(settings: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty, and what buildah says of itself."""
    found = {key: value for key, value in settings.items() if value and key not in ("Hostname", "Image", "ArgsEscaped")}
    found["Env"] = sorted(one for one in settings.get("Env") or [] if not one.startswith("PATH="))
    found["Labels"] = {key: value for key, value in (settings.get("Labels") or {}).items() if "buildah" not in key}
    return found
