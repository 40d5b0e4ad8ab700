"""Stages of a build, and its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from builds import Builds


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
