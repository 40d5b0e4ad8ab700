"""Stages, variables, and what a build takes from earlier ones."""

from __future__ import annotations

import hashlib
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


# Stages


def test_stages_that_nothing_needs_are_not_built(base: Builds):
    text = (
        "FROM base:1 AS one\nRUN echo one > /one\n"
        "FROM base:1 AS broken\nRUN false\n"
        "FROM one AS two\nCOPY --from=one /one /from-one\n"
        "FROM scratch AS last\nCOPY --from=two /from-one /\n"
    )
    result = base.built(text)
    assert "broken" not in result.said
    assert [one.name for one in base.files().iterdir()] == ["from-one"]
    base.built(text, "--target", "two", tag="t:2")
    assert (base.files("t:2") / "one").exists()
    assert "exit code 1" in base.refused(text, "--target", "1")
    assert "no stage" in base.refused(text, "--target", "tow")


def test_from_scratch(builds: Builds):
    builds.write({"f": "x"})
    builds.built("FROM scratch\nCOPY f /\n")
    assert builds.settings()["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    builds.built('FROM scratch\nCMD ["x"]\n', tag="empty:1")
    assert builds.image("empty:1").manifest.layers == []


def test_a_stage_begins_with_the_settings_and_arguments_of_another(base: Builds):
    base.built(
        'FROM base:1 AS one\nARG a=1\nENV e=2\nWORKDIR /w\nUSER user\nSHELL ["/bin/sh", "-ec"]\n'
        "FROM one\nRUN echo $a $e; id -un; pwd; false; true\n".replace("false; ", "")
    )
    assert base.settings()["WorkingDir"] == "/w"


def test_triggers(base: Builds):
    base.write({"f": "x"})
    base.built(
        "FROM base:1\nONBUILD COPY f /from-context\nONBUILD RUN <<EOF\necho $v > /ran\nEOF\nONBUILD ENV later=1\n"
        "ONBUILD ARG v=default\n".replace("ONBUILD RUN", "ONBUILD ARG v=first\nONBUILD RUN"),
        tag="parent:1",
    )
    assert not (base.files("parent:1") / "ran").exists()
    base.built("FROM parent:1\nRUN test -e /ran\n", tag="child:1")
    assert (base.files("child:1") / "ran").read_text() == "first\n"
    assert (base.files("child:1") / "from-context").read_text() == "x"
    assert "OnBuild" not in base.settings("child:1")
    assert base.settings("child:1")["Env"] == ["later=1"]
    base.built("FROM child:1\nRUN true\n", tag="grandchild:1")


def test_a_trigger_that_fails_says_so(base: Builds):
    base.built("FROM base:1\nONBUILD RUN exit 3\n", tag="parent:1")
    assert "ONBUILD of the base of stage-0: RUN exit 3: the command ended with exit code 3" in base.refused(
        "FROM parent:1\n"
    )


# Variables


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("FROM base:1\nARG v=1\nRUN echo $v > /x\n", (), "1"),
        ("FROM base:1\nARG v=1\nRUN echo $v > /x\n", ("--build-arg", "v=2"), "2"),
        ("FROM base:1\nARG v\nRUN echo ${v-unset} > /x\n", (), "unset"),
        ("FROM base:1\nRUN echo ${v-unset} > /x\n", ("--build-arg", "v=2"), "unset"),
        ("ARG v=1\nFROM base:1\nRUN echo ${v-unset} > /x\n", (), "unset"),
        ("ARG v=1\nFROM base:1\nARG v\nRUN echo $v > /x\n", (), "1"),
        ("ARG v=1\nFROM base:1\nARG v\nRUN echo $v > /x\n", ("--build-arg", "v=2"), "2"),
        ("ARG v=1\nFROM base:1\nARG v=3\nRUN echo $v > /x\n", (), "3"),
        ("ARG v=base\nFROM $v:1\nRUN echo ok > /x\n", (), "ok"),
        ("ARG v=ba\nARG w=${v}se:1\nFROM ${w}\nRUN echo ok > /x\n", (), "ok"),
        ("ARG v=nothing\nFROM ${v}:1\nRUN echo ok > /x\n", ("--build-arg", "v=base"), "ok"),
        ("FROM base:1\nARG v=1\nENV v=2\nRUN echo $v > /x\n", ("--build-arg", "v=3"), "2"),
        ("FROM base:1\nARG v=1\nARG w=$v$v\nRUN echo $w > /x\n", (), "11"),
        ("FROM base:1\nENV a=1\nENV a=2 b=$a\nRUN echo $b > /x\n", (), "1"),
        ("FROM base:1 AS a\nARG v=1\nFROM base:1\nRUN echo ${v-unset} > /x\n", (), "unset"),
        ("FROM base:1\nRUN echo $HTTP_PROXY > /x\n", ("--build-arg", "HTTP_PROXY=p"), "p"),
        ("FROM base:1\nARG TARGETOS\nRUN echo $TARGETOS > /x\n", (), "linux"),
        ("FROM base:1\nRUN echo ${TARGETOS-unset} > /x\n", (), "unset"),
        ("FROM --platform=$BUILDPLATFORM base:1\nRUN echo ok > /x\n", (), "ok"),
        ("FROM base:1\nARG v\nRUN echo $v > /x\n", ("--build-arg", "v"), "of the caller"),
    ],
)
def test_arguments(base: Builds, text, words, expected):
    base.environment["v"] = "of the caller"
    base.built(text, *words)
    assert (base.files() / "x").read_text() == expected + "\n"


def test_an_argument_for_nothing_is_said(base: Builds):
    assert "warning: --build-arg x is for no ARG" in base.built("FROM base:1\n", "--build-arg", "x=1").said


def test_arguments_are_in_the_history_and_not_in_the_image(base: Builds):
    base.built("FROM base:1\nARG v=secretish\nRUN true\n", "--build-arg", "http_proxy=http://user:password@proxy")
    config = str(base.image().config.document)
    assert "RUN |1 v=secretish /bin/sh -c true" in config
    assert "Env" not in base.settings()
    assert "password" not in config


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


# Mounts


def test_a_cache_outlives_a_build_and_is_in_no_layer(base: Builds):
    text = (
        "FROM base:1\nARG n\nRUN --mount=type=cache,id=c,target=/c,mode=0700,uid=3 "
        "echo $n >> /c/f; cat /c/f > /out; stat -c %a:%u /c >> /out\n"
    )
    base.built(text, "--build-arg", "n=1")
    base.built(text, "--build-arg", "n=2")
    assert (base.files() / "out").read_text() == "1\n2\n700:3\n"
    assert not (base.files() / "c").exists()
    assert "1 caches" in base.do("builder", "prune", "--all")
    base.built(text, "--build-arg", "n=3")
    assert (base.files() / "out").read_text() == "3\n700:3\n"


def test_sharing_of_caches(base: Builds):
    (base.context / "Containerfile").write_text(
        "FROM base:1\nARG n\n"
        "RUN --mount=type=cache,id=locked,target=/l,sharing=locked --mount=type=cache,id=own,target=/p,sharing=private "
        "test ! -e /l/busy && test ! -e /p/busy && touch /l/busy /p/busy && sleep 0.3 && rm /l/busy /p/busy; "
        "echo $? > /code\n"
    )
    running = [
        warm.Popen(
            base.argv("build", "-q", "-t", f"t:{number}", "--build-arg", f"n={number}", str(base.context)),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for number in range(3)
    ]  # fmt: skip
    assert [(one.communicate(timeout=seconds(60))[1], one.returncode) for one in running] == [(b"", 0)] * 3
    assert {(base.files(f"t:{number}") / "code").read_text() for number in range(3)} == {"0\n"}


def test_caches_in_any_order_do_not_wait_for_one_another(base: Builds):
    one, two = (f"--mount=type=cache,id={name},target=/{name},sharing=locked" for name in "ab")
    again = "--mount=type=cache,id=a,target=/again,sharing=locked"
    running = []
    for number, mounts in enumerate([f"{one} {two} {again}", f"{two} {one}"] * 2):
        path = base.context / f"File{number}"
        path.write_text(f"FROM base:1\nRUN {mounts} echo {number}; sleep 0.1\n")
        words = base.argv("build", "-q", "-f", str(path), str(base.context))
        running.append(warm.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
    assert [(one.communicate(timeout=seconds(60))[1], one.returncode) for one in running] == [(b"", 0)] * 4


def test_a_cache_that_begins_with_files_of_a_stage(base: Builds):
    base.built(
        "FROM base:1 AS one\nRUN mkdir /d && echo x > /d/f\n"
        "FROM base:1\nRUN --mount=type=cache,target=/c,from=one,source=/d cat /c/f > /out\n"
    )
    assert (base.files() / "out").read_text() == "x\n"


def test_binds(base: Builds):
    base.write({"d/f": "1", "g": "2"})
    base.built(
        "FROM base:1 AS one\nRUN echo stage > /s\n"
        "FROM base:1\nWORKDIR /w\n"
        "RUN --mount=target=ctx --mount=type=bind,source=g,target=/file --mount=from=one,source=/s,target=/s "
        "--mount=from=base:1,target=/img,rw --mount=source=d,target=/d,rw "
        "cat ctx/d/f /file /s > /out; ls /img/bin | head -1 >> /out; touch /img/x /d/x && echo rw >> /out; "
        "touch ctx/x /file 2>/dev/null || echo ro >> /out\n"
    )
    assert (base.files() / "out").read_text() == "12stage\nawk\nrw\nro\n"
    assert sorted(one.name for one in base.context.iterdir()) == ["Containerfile", "d", "g"]
    assert not (base.context / "d/x").exists()
    assert not (base.files() / "file").exists()
    text = "FROM base:1\nRUN --mount=source=g,target=/g cat /g > /out\n"
    base.built(text)
    base.write({"g": "3"})
    assert base.built(text).steps("CACHED") == 0


def test_memory(base: Builds):
    base.built(
        "FROM base:1\nRUN --mount=type=tmpfs,target=/m,size=64k "
        "dd if=/dev/zero of=/m/f bs=1k count=100; wc -c < /m/f > /n\n"
    )
    assert (base.files() / "n").read_text() == "65536\n"


def test_secrets_are_in_no_layer_no_history_and_no_file(base: Builds):
    (base.folder / "secret").write_text("hunter2-file")
    base.environment["TOKEN"] = "hunter2-variable"
    words = ("--secret", f"id=one,src={base.folder}/secret", "--secret", "id=two,env=TOKEN")
    base.built(
        "FROM base:1\n"
        "RUN --mount=type=secret,id=one "
        "stat -c %a:%u /run/secrets/one > /about; sha256sum < /run/secrets/one >> /about\n"
        "RUN --mount=type=secret,id=one,target=/x,mode=0444,uid=1000 stat -c %a:%u /x >> /about\n"
        "RUN --mount=type=secret,id=two,env=T printf %s $T | sha256sum >> /about; env | grep -c TOKEN >> /about; true\n"
        "RUN --mount=type=secret,id=absent ls /run/secrets/absent 2>/dev/null || echo none >> /about\n",
        *words,
    )
    sums = [hashlib.sha256(text).hexdigest() + "  -" for text in (b"hunter2-file", b"hunter2-variable")]
    assert (base.files() / "about").read_text().split("\n") == ["400:0", sums[0], "444:1000", sums[1], "0", "none", ""]
    base.do("save", "-o", str(base.folder / "out.tar"), "--format", "docker", "t:1")
    for path in [*base.root.rglob("*"), base.folder / "out.tar"]:
        if path.is_file() and not path.is_symlink():
            assert b"hunter2" not in path.read_bytes(), path
    # what a secret says does not count: only that there is one
    (base.folder / "secret").write_text("other")
    assert base.build("FROM base:1\nRUN --mount=type=secret,id=one true\n", *words).code == 0


@pytest.mark.parametrize("words", ["id=x", "id=x,src=nothing", "src=x", "id=x,env=NOTHING", "id=x,what=y"])
def test_secrets_that_are_not_there(base: Builds, words):
    said = base.refused("FROM base:1\n", "--secret", words)
    assert "--secret" in said


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
