"""Stages, variables, and what a build takes from earlier ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builds import Builds, archive, program, pythons

from tests import warm
from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.lab


# The cache


TEXT = "FROM base:1\nWORKDIR /w\nCOPY src /w/src\nRUN cat src/f > out\nENV a=1\nRUN cat out > out2\n"


@pytest.fixture
def cached(base: Builds) -> Builds:
    base.write({"src/f": "1", "src/g": "2", "other": "3"})
    assert base.built(TEXT).steps("CACHED") == 0
    return base


def touch(builds: Builds) -> str:
    os.utime(builds.context / "src/f", (1, 1))
    return TEXT


def other(builds: Builds) -> str:
    builds.write({"other": "4"})
    return TEXT


def content(builds: Builds) -> str:
    builds.write({"src/f": "9"})
    return TEXT


def mode(builds: Builds) -> str:
    (builds.context / "src/g").chmod(0o600)
    return TEXT


def renamed(builds: Builds) -> str:
    (builds.context / "src/g").rename(builds.context / "src/h")
    return TEXT


def link(builds: Builds) -> str:
    builds.write({"src/l": ("link", "f")})
    return TEXT


def label(_builds: Builds) -> str:
    return TEXT.replace("WORKDIR /w\n", "LABEL a=1\nWORKDIR /w\n")


def environment(_builds: Builds) -> str:
    return TEXT.replace("ENV a=1", "ENV a=2")


def command(_builds: Builds) -> str:
    return TEXT.replace("cat src/f >", "cat src/g >")


@pytest.mark.parametrize(
    ("change", "hits"),
    [
        (touch, 4),
        (other, 4),
        (label, 4),
        (content, 1),
        (mode, 1),
        (renamed, 1),
        (link, 1),
        (environment, 3),
        (command, 2),
    ],
)
def test_what_is_made_again(cached: Builds, change: Callable[[Builds], str], hits):
    result = cached.built(change(cached))
    assert (result.steps("CACHED"), result.steps("DONE")) == (hits, 5 - hits)  # FROM is done each time


def test_the_same_again_is_the_same_image(cached: Builds):
    before = cached.digest()
    assert cached.built(TEXT).steps("CACHED") == 4
    assert cached.digest() == before


def test_without_the_cache(cached: Builds):
    assert cached.built(TEXT, "--no-cache").steps("CACHED") == 0
    digest = cached.digest()
    assert cached.built(TEXT).steps("CACHED") == 4  # of the one that was made last
    assert cached.digest() == digest


def test_a_failed_step_is_not_kept_and_those_before_it_are(base: Builds):
    text = "FROM base:1\nRUN echo a > /a\nRUN echo b > /b; false\n"
    base.refused(text)
    assert base.build(text).steps("CACHED") == 1
    base.built(text.replace("; false", "; true"))


def test_another_base_means_other_steps(base: Builds):
    text = "FROM base:1\nRUN echo a > /a\n"
    base.built(text)
    base.load_base("base:1", {"extra": "x", **_base_entries(base)})
    assert base.built(text).steps("CACHED") == 0


def _base_entries(builds: Builds) -> dict:
    root = builds.files("base:1")
    return {
        "bin": None,
        "bin/busybox": program((root / "bin/busybox").read_bytes()),
        "bin/sh": ("link", "busybox"),
    }


def test_what_is_copied_from_a_stage_counts_by_its_content(base: Builds):
    text = (
        "FROM base:1 AS one\nRUN echo same > /f; echo {} > /other\nFROM base:1\nCOPY --from=one /f /\nRUN cat /f > /g\n"
    )
    base.built(text.format(1))
    result = base.built(text.format(2))
    assert result.steps("CACHED") == 2


def test_a_collection_leaves_what_is_cached_and_pruning_takes_it(cached: Builds):
    cached.do("prune")
    assert cached.built(TEXT).steps("CACHED") == 4
    assert "Forgotten: 0 steps" in cached.do("builder", "prune", "--filter", "until=1h")
    assert "Forgotten: 4 steps" in cached.do("builder", "prune")
    assert cached.built(TEXT).steps("CACHED") == 0


def test_what_is_damaged_in_the_cache_is_made_again(cached: Builds):
    for pin in (cached.root / "pins").iterdir():
        pin.write_text("sha256:" + "0" * 64)
    assert cached.built(TEXT).steps("CACHED") == 0
    layer = cached.image().manifest.layers[-1]
    cached.image().store.blob_path(layer.digest)
    os.unlink(cached.image().store.blob_path(layer.digest))
    assert cached.built(TEXT).steps("CACHED") == 3


def test_two_builds_at_once_make_a_step_once(base: Builds):
    (base.context / "Containerfile").write_text(
        "FROM base:1\nRUN --mount=type=cache,target=/c echo x >> /c/count; cat /c/count > /count; sleep 0.5\n"
    )
    running = [
        warm.Popen(base.argv("build", "-t", f"t:{number}", str(base.context)), stderr=subprocess.PIPE)
        for number in range(3)
    ]
    said = [one.communicate(timeout=seconds(60))[1].decode() for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], said
    assert sum("CACHED" in one for one in said) == 2
    assert len({base.digest(f"t:{number}") for number in range(3)}) == 1
    assert (base.files("t:0") / "count").read_text() == "x\n"
    assert list((base.root / "build/locks").iterdir()) == []


def test_collections_during_builds_take_nothing_that_is_needed(base: Builds):
    (base.context / "Containerfile").write_text(
        "FROM base:1\n" + "".join(f"RUN echo {number} > /f{number}\nENV e{number}=1\n" for number in range(6))
    )
    running = warm.Popen(base.argv("build", "-t", "t:1", str(base.context)), stderr=subprocess.PIPE)
    base.do("rmi", "base:1")
    while running.poll() is None:
        base.do("builder", "prune")
    said = running.communicate()[1].decode()
    if running.returncode:  # the base may have been gone before the build saw it
        assert "base:1" in said and "#2" not in said, said
    else:
        assert len(list(base.files().glob("f*"))) == 6


# Reproducible


@pytest.mark.usefixtures("base")  # which says why it is skipped
def test_two_builds_in_two_stores_are_the_same_image(tmp_path: Path):
    """Also of two Pythons, in the C locale, where the older ones take file names for ASCII."""
    text = (
        "FROM base:1 AS one\nRUN mkdir -p /a/b && for i in 3 1 2; do echo $i > /a/$i; done\n"
        "RUN touch -t 203801010000 /a/later\n"
        "FROM base:1\nCOPY src /src\nCOPY --from=one /a /a\nADD x.tar /x/\nCOPY <<EOF /doc\nhi\nEOF\nWORKDIR /new/one\n"
        "RUN rm /etc/group; date > /etc/passwd.d; rm /etc/passwd.d\nLABEL b=1 a=2\n"
    )
    digests = []
    for number, python in enumerate([sys.executable, *pythons()]):
        (tmp_path / f"b{number}").mkdir()
        other = Builds(tmp_path / f"b{number}")
        other.python = python
        other.environment["LC_ALL"] = "C"
        other.load_base()
        other.write({"src/f": "1", "src/g/h": "2", "src/ä": "3"})
        other.write({"x.tar": archive({"in": "x"})})
        other.environment["SOURCE_DATE_EPOCH"] = "1700000000"
        other.built(text)
        digests.append(other.digest())
        assert all(one.mtime <= 1700000000 for number in range(1, 7) for one in other.layer(number))
        assert other.image().config.document["created"] == "2023-11-14T22:13:20Z"
        time.sleep(1.1 - time.time() % 1)  # into another second, so that a time that got in would show
    assert len(set(digests)) == 1


def test_the_epoch_as_an_argument(base: Builds):
    base.built("FROM base:1\nRUN echo > /x\n", "--build-arg", "SOURCE_DATE_EPOCH=1000000000")
    assert base.image().config.document["created"] == "2001-09-09T01:46:40Z"
    assert "SOURCE_DATE_EPOCH is a number" in base.refused("FROM base:1\n", "--build-arg", "SOURCE_DATE_EPOCH=now")


# How it ends


def test_the_id_is_printed_and_written(base: Builds):
    (base.context / "Containerfile").write_text("FROM base:1\nENV a=1\n")
    out = base.do("build", "-q", "-t", "a:1", "-t", "b:2", "--iidfile", str(base.folder / "id"), str(base.context))
    assert out == str(base.image("a:1").id) + "\n" == (base.folder / "id").read_text() + "\n"
    assert base.digest("a:1") == base.digest("b:2")
    assert base.do("build", "-q", str(base.context)) == out  # without a name it is there by its id
    base.built("FROM " + out.strip()[7:19] + "\nENV b=1\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_ended_leaves_nothing(base: Builds, number):
    marker = f"sleep 3{os.getpid()}"
    (base.context / "Containerfile").write_text(f"FROM base:1\nRUN echo a > /a\nRUN echo started; {marker}\n")
    running = warm.Popen(base.argv("build", "-t", "t:1", str(base.context)), stderr=subprocess.PIPE)
    assert running.stderr is not None
    for line in running.stderr:
        if line.endswith(b"started\n"):
            break
    running.send_signal(number)
    running.communicate(timeout=seconds(30))
    assert running.returncode == (130 if number != signal.SIGKILL else -9)
    deadline = time.monotonic() + seconds(20)
    while any(marker.encode() in command for command in _commands()):
        assert time.monotonic() < deadline
    if number == signal.SIGKILL:
        assert len(list((base.root / "staging").iterdir())) == 1
        base.built("FROM base:1\nENV a=1\n")  # sweeps
    assert list((base.root / "staging").iterdir()) == []
    assert base.groups() == []
    assert base.call("history", "t:1").returncode == (0 if number == signal.SIGKILL else 1)
    assert base.build("FROM base:1\nRUN echo a > /a\n").steps("CACHED") == 1


def _commands() -> list[bytes]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found.append(Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" "))
            except OSError:
                continue
    return found


def test_what_other_programs_read_of_it(base: Builds):
    if shutil.which("skopeo") is None or shutil.which("umoci") is None:
        pytest.skip("needs skopeo and umoci")
    base.write({"f": "x"})
    base.built(
        'FROM base:1\nCOPY --chown=5:6 f /f\nRUN rm /etc/group && mkdir -m 1777 /t\nHEALTHCHECK CMD true\nCMD ["a"]\n'
    )
    base.do("save", "-o", str(base.folder / "out.tar"), "t:1")
    copied = ["skopeo", "copy", "-q", f"oci-archive:{base.folder}/out.tar", f"oci:{base.folder}/layout:t"]
    subprocess.run(copied, check=True)
    unpacked = ["umoci", "unpack", "--image", f"{base.folder}/layout:t", str(base.folder / "bundle")]
    subprocess.run(unpacked, check=True, capture_output=True)
    root, ours = base.folder / "bundle/rootfs", base.files()
    assert sorted(str(one.relative_to(root)) for one in root.rglob("*")) == sorted(
        str(one.relative_to(ours)) for one in ours.rglob("*")
    )
    assert (root / "f").stat().st_uid == 5
    assert (root / "t").stat().st_mode & 0o7777 == 0o1777
