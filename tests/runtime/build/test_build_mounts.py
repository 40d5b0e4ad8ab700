"""What a step of a build has mounted for it."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import warm
from tests.patience import seconds

if TYPE_CHECKING:
    from builds import Builds

pytestmark = pytest.mark.lab


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
