"""Builds that are killed at any moment, a full disk, registries: afterwards all is there, or nothing."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builds import Builds, archive

from shepherd.runtime.images.manifest import OCI_MANIFEST
from tests import warm
from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.runtime.images.image import Image

pytestmark = pytest.mark.lab

TEXT = (
    "FROM base:1 AS one\nWORKDIR /w\nRUN echo one > one\nCOPY src /w/src\n"
    "FROM base:1\nCOPY --from=one /w /w\nADD x.tar /x\nRUN --mount=type=cache,target=/c echo two > /two; touch /c/f\n"
)


def start(builds: Builds) -> subprocess.Popen[bytes]:
    (builds.context / "Containerfile").write_text(TEXT)
    environment = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000"}
    words = builds.argv("build", "-t", "t:1", str(builds.context))
    return warm.Popen(words, stderr=subprocess.PIPE, env=environment, cwd=builds.folder)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("whom", ["starter", "worker"])
def test_a_build_that_is_killed_at_any_step(base: Builds, whom):
    """It is killed at its first line, at its second, … until it gets to the end; all in one store."""
    base.write({"src/f": "1", "x.tar": archive({"in": "x"})})
    number, finished = 0, False
    while not finished:
        running = start(base)
        assert running.stderr is not None
        seen = 0
        for line in running.stderr:
            seen += 1
            if seen > number:
                victims = [running.pid] if whom == "starter" else children(running.pid)
                for pid in victims:
                    os.kill(pid, signal.SIGKILL)
                break
            finished = line.startswith(b"named ")
        running.communicate(timeout=seconds(60))
        if seen <= number:
            assert running.returncode == 0
        number += 2  # every second line, to save time
        base.do("images")  # what is there can be read
    assert number > 10
    before = base.digest()
    base.do("rmi", "t:1")
    base.do("builder", "prune", "-a")
    assert start(base).wait(seconds(60)) == 0
    assert base.digest() == before
    assert list((base.root / "staging").iterdir()) == []
    assert base.groups() == []


def test_a_process_that_died_is_said(base: Builds):
    (base.context / "Containerfile").write_text("FROM base:1\nRUN echo started; sleep 60\n")
    running = warm.Popen(base.argv("build", str(base.context)), stderr=subprocess.PIPE)
    assert running.stderr is not None
    while not running.stderr.readline().endswith(b"started\n"):
        pass
    for pid in children(running.pid):
        os.kill(pid, signal.SIGKILL)
    said = running.communicate(timeout=seconds(30))[1]
    assert running.returncode == 1
    assert b"the build's process ended unexpectedly (signal 9)" in said
    assert list((base.root / "staging").iterdir()) == []
    assert base.groups() == []


def test_a_full_disk(base: Builds):
    """In a mount namespace, with a store in 12 MiB of memory."""
    script = f"""\
mount -t tmpfs -o size=12m none {base.folder}/small && cp -a {base.root}/. {base.folder}/small/ || exit 9
"$@"; code=$?
ls {base.folder}/small/staging
exit $code"""
    (base.folder / "small").mkdir()
    (base.context / "Containerfile").write_text(
        "FROM base:1\nRUN echo kept > /kept\nRUN head -c 40000000 /dev/urandom > /big || true; ls -l /big\n"
    )
    real, base.root = base.root, base.folder / "small"
    words = base.argv("build", "-t", "t:1", str(base.context))
    base.root = real
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds(120),
    )
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# Bases from a registry


class Registry(http.server.BaseHTTPRequestHandler):
    image: Image
    seen: list[str]

    def do_GET(self) -> None:
        """The one image there is, under any name and tag (distribution specification, "Pull")."""
        self.seen.append(self.path)
        kind, _, name = self.path.rpartition("/")
        digest = self.image.manifest_descriptor.digest if kind.endswith("/manifests") else name
        path = Path(self.image.store.path("blobs", "sha256", str(digest)[7:]))
        found = self.path == "/v2/" or (path.is_file() and "nothing" not in self.path)
        data = path.read_bytes() if found and self.path != "/v2/" else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", OCI_MANIFEST if kind.endswith("/manifests") else "application/octet-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815 - so the library calls it

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(base: Builds) -> Iterator[str]:
    """HOST:PORT of one that has an image of busybox and a file /marker."""
    base.built("FROM base:1\nRUN echo from the registry > /marker\n", tag="served:1")
    Registry.image, Registry.seen = base.image("served:1"), []
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_bases_are_pulled_when_they_are_not_here(registry: str, tmp_path: Path):
    (tmp_path / "other").mkdir()
    other = Builds(tmp_path / "other")
    text = f"FROM {registry}/app:1\nCOPY --from={registry}/more:2 /marker /copied\nRUN cat /marker > /read\n"
    other.built(text, "--insecure", registry)
    assert (other.files() / "read").read_text() == (other.files() / "copied").read_text() == "from the registry\n"
    Registry.seen.clear()
    assert other.built(text, "--insecure", registry).steps("CACHED") == 2
    assert Registry.seen == []
    other.built(text, "--insecure", registry, "--pull")
    assert any("/manifests/" in path for path in Registry.seen)
    said = other.refused(f"FROM {registry}/nothing:1\n", "--insecure", registry)
    assert "Containerfile:1:6: " in said


def test_another_platform_is_not_taken_for_this_one(base: Builds):
    base.do("tag", "base:1", "127.0.0.1:1/base:1")
    base.built("FROM 127.0.0.1:1/base:1\n")
    assert "Containerfile:1:" in base.refused(
        "FROM --platform=linux/s390x 127.0.0.1:1/base:1\n", "--insecure", "127.0.0.1:1"
    )
