"""Containerfiles as text: what is read of them, what is refused with its place, and that nothing makes a traceback."""

from __future__ import annotations

import stat
import subprocess
import textwrap

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shepherd.runtime.build import containerfile, copying, instructions, mounting, settings
from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.errors import RuntimeFailure


def parse(text: str) -> containerfile.Containerfile:
    return containerfile.parse(textwrap.dedent(text).encode(), "Containerfile")


def stage(text: str) -> list[instructions.Instruction]:
    """The instructions after a FROM."""
    return parse("FROM scratch\n" + textwrap.dedent(text)).stages[0].instructions


def refusal(text: str) -> str:
    with pytest.raises(RuntimeFailure) as caught:
        parse(text)
    return caught.value.message


def test_all_eighteen_instructions_are_known():
    assert len(instructions.OPTIONS) == len(instructions.READERS) == 18


@pytest.mark.parametrize(
    ("text", "arguments", "shell"),
    [
        ("RUN echo hi", "echo hi", True),
        ('RUN ["echo", "hi"]', ["echo", "hi"], False),
        ("run echo hi", "echo hi", True),
        ("RUN [ -f x ]", "[ -f x ]", True),
        ("RUN ['x']", "['x']", True),
        ('CMD ["a", "b"]', ["a", "b"], False),
        ("CMD a b", "a b", True),
        ("CMD []", [], False),
        ("ENTRYPOINT exec top -b", "exec top -b", True),
        ("COPY a b /c/", ["a", "b", "/c/"], False),
        ('COPY ["a b", "/c"]', ["a b", "/c"], False),
        ("ADD a /b", ["a", "/b"], False),
        ("ENV a=1 b='x y' c=\"z\"", [("a", "1"), ("b", "'x y'"), ("c", '"z"')], False),
        ("ENV a some words", [("a", "some words")], False),
        ("ENV a=b\\ c", [("a", "b\\ c")], False),
        ("LABEL a.b=1", [("a.b", "1")], False),
        ("ARG a", [("a", None)], False),
        ("ARG a=1 b c=", [("a", "1"), ("b", None), ("c", "")], False),
        ("EXPOSE 80 90/udp", "80 90/udp", False),
        ("USER me:mine", "me:mine", False),
        ("WORKDIR /a b", "/a b", False),
        ("VOLUME /a /b", ["/a", "/b"], False),
        ('VOLUME ["/a b"]', ["/a b"], False),
        ("STOPSIGNAL TERM", "TERM", False),
        ('SHELL ["sh", "-ec"]', ["sh", "-ec"], False),
        ("HEALTHCHECK NONE", ["NONE"], False),
        ("HEALTHCHECK CMD true", ["CMD-SHELL", "true"], False),
        ('HEALTHCHECK CMD ["true"]', ["CMD", "true"], False),
        ("MAINTAINER me <me@x>", "me <me@x>", False),
        ("ONBUILD RUN true", "RUN true", False),
    ],
)
def test_forms(text, arguments, shell):
    (found,) = stage(text)
    assert (found.arguments, found.shell) == (arguments, shell)


def test_options():
    copy, run, health = stage(
        """\
        COPY --from=base --chown=1:2 --chmod=u=rwX,go=rX --link --parents=false --exclude=*.a --exclude=b a /b
        RUN --mount=type=cache,target=/c --mount=target=/d --network=none --security=sandbox true --not-ours
        HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD true
        """.replace("from=base", "from=image:1")
    )
    assert copy.options == {
        "from": "image:1", "chown": "1:2", "chmod": "u=rwX,go=rX", "link": True, "parents": False,
        "exclude": ["*.a", "b"],
    }  # fmt: skip
    assert run.options["mount"] == ["type=cache,target=/c", "target=/d"]
    assert run.arguments == "true --not-ours"
    assert health.options == {"interval": 90 * 10**9, "timeout": 5 * 10**8, "retries": 3}


def test_continuation_comments_and_blank_lines():
    run, copy = stage("""\
        # a comment

        RUN echo one \\
              two \\
          # a comment between
              three \\

              four
          COPY a \\
            /b
        """)
    assert run.arguments == "echo one       two       three       four"
    assert copy.arguments == ["a", "/b"]


def test_an_escaped_backslash_does_not_continue():
    first, second = stage("RUN echo a\\\\\nRUN b\n")
    assert (first.arguments, second.arguments) == ("echo a\\\\", "b")


def test_windows_line_ends_and_a_mark_of_byte_order():
    found = containerfile.parse(b"\xef\xbb\xbfFROM scratch\r\nRUN a \\\r\n b\r\n", "Containerfile")
    assert found.stages[0].instructions[0].arguments == "a  b"


def test_directives():
    found = parse("# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM scratch\nRUN a `\n b\\\n")
    assert found.stages[0].instructions[0].arguments == "a  b\\"


def test_after_a_comment_there_are_no_directives():
    found = parse("# a comment\n# escape=`\nFROM scratch\nRUN a \\\n b\n")
    assert found.stages[0].instructions[0].arguments == "a  b"


def test_here_documents():
    script, piped, copy, quoted, stripped = stage(
        "RUN <<EOF\necho $a\n# no comment\nEOF\n"
        "RUN cat <<A - <<'B' > /x\none\nA\ntwo\nB\n"
        "COPY <<one.txt <<two.txt /d/\n1 $v\none.txt\n2\ntwo.txt\n"
        'COPY <<"EOF" /q\n$v\nEOF\n'
        "ADD <<-EOF /t\n\t\tx\n\tEOF\n"
    )
    assert script.documents[0].content == "echo $a\n# no comment\n"
    assert [document.content for document in piped.documents] == ["one\n", "two\n"]
    assert [document.name for document in copy.documents] == ["one.txt", "two.txt"]
    assert (copy.documents[0].expand, quoted.documents[0].expand) == (True, False)
    assert stripped.documents[0].content == "x\n"


def test_what_looks_like_a_here_document_and_is_none():
    first, second, third = stage("RUN echo $((1<<2))\nRUN echo '<<EOF'\nENV a=<<EOF\n")
    assert not first.documents + second.documents + third.documents


def test_a_here_document_in_onbuild_is_part_of_the_trigger():
    (found,) = stage("ONBUILD RUN <<EOF\necho hi\nEOF\n")
    (trigger,) = containerfile.triggers([found.arguments], "x")
    assert trigger.documents[0].content == "echo hi\n"


def test_stages():
    found = parse("ARG A=1\nFROM --platform=$BUILDPLATFORM a:$A AS One\nRUN x\nFROM one\nCOPY --from=0 a /b\n")
    assert [one.name for one in found.stages] == ["one", None]
    assert found.find("ONE") is found.stages[0]
    assert found.find("1") is found.stages[1]
    assert found.target(None) is found.stages[1]
    assert found.arguments[0].arguments == [("A", "1")]
    with pytest.raises(RuntimeFailure, match="no stage"):
        found.target("oen")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Containerfile has no FROM"),
        ("RUN x\n", "Containerfile:1:1: RUN comes before the first FROM"),
        ("FROM a\nRNU x\n", "Containerfile:2:1: there is no instruction RNU; did you mean RUN?"),
        ("FROM a\nCOPY x\n", "Containerfile:2:1: COPY needs at least one source"),
        ("FROM a\nCOPY --form=x a b\n", "Containerfile:2:6: COPY has no option --form; did you mean from?"),
        ("FROM a\nCOPY a b c\n", "several sources need a folder"),
        ("FROM a\nCOPY --chmod=999 a b\n", "999 is no mode"),
        ("FROM a\nCOPY --link=perhaps a b\n", "--link is true or false"),
        ("FROM a\nRUN\n", "Containerfile:2:1: RUN needs an argument"),
        ("FROM a\nENV a\n", "ENV a has no value"),
        ("FROM a\nENV a=1 b\n", "NAME=VALUE"),
        ("FROM a\nENV a=${b\n", "a } is missing"),
        ("FROM a\nENV a='b\n", "a ' has no second one"),
        ("FROM a\nARG 1a\n", "1a is no name of a variable"),
        ("FROM a\nSHELL sh -c\n", "SHELL has the form"),
        ("FROM a\nHEALTHCHECK true\n", "HEALTHCHECK is followed by CMD or NONE"),
        ("FROM a\nHEALTHCHECK --interval=soon CMD true\n", "soon is no time"),
        ("FROM a\nHEALTHCHECK --retries=x CMD true\n", "x is no number"),
        ("FROM a\nONBUILD FROM b\n", "ONBUILD FROM is not possible"),
        ("FROM a\nONBUILD ONBUILD RUN x\n", "ONBUILD ONBUILD is not possible"),
        ("FROM a\nONBUILD RNU x\n", "there is no instruction RNU"),
        ("FROM a b\n", "FROM has the form"),
        ("FROM a AS 1b\n", "1b is no name of a stage"),
        ("FROM a AS b\nFROM a AS B\n", "Containerfile:2:11: there is a stage b already"),
        ("FROM a\nCOPY --from=0 a b\n", "there is no stage 0 before this one"),
        ("FROM a\nCOPY --from=b a b\nFROM a AS b\n", "stage b is not before this one"),
        ("FROM a\nRUN --mount=from=b,target=/x y\nFROM a AS b\n", "stage b is not before this one"),
        ("FROM a\nRUN --mount=type=ssh x\n", "--mount=type=ssh is not possible"),
        ("FROM a\nRUN --mount=type=cahce,target=/x y\n", "did you mean cache?"),
        ("FROM a\nRUN --mount=type=cache y\n", "needs a target"),
        ("FROM a\nRUN --mount=type=cache,target=/x,mode=99 y\n", "mode is an octal number"),
        ("FROM a\nRUN --mount=type=cache,target=/x,sharing=all y\n", "sharing is one of"),
        ("FROM a\nRUN --mount=type=bind,target=/x,id=3 y\n", "has no id"),
        ("FROM a\nRUN --security=insecure x\n", "--security=insecure is not possible; steps run as containers do"),
        ("FROM a\nRUN --network=bridge x\n", "--network=bridge is not possible"),
        ("FROM a\nRUN --device=x y\n", "a step of a build gets no devices"),
        ("FROM a\nRUN <<EOF\nx\n", "Containerfile:2:5: the here-document EOF has no end"),
        ("FROM a\nADD --checksum=md5:1 http://x/y /z\n", "not a digest"),
        ("FROM a\nUSER a b\n", "USER takes one user"),
        ("# escape=x\nFROM a\n", "the directive escape takes"),
        ("# escape=`\n# escape=`\nFROM a\n", "the directive escape is there twice"),
        ("FROM a\nRUN \0\n", "there is a NUL"),
    ],
)
def test_what_is_refused(text, message):
    assert message in refusal(text)


def test_everything_wrong_is_said_at_once_with_its_line():
    said = refusal("FROM a\nRNU x\nCOPY \\\n  --form=y a b\nWORKDIR /x\nEXPOSEE 80\n")
    assert said.split("\n") == [
        "Containerfile:2:1: there is no instruction RNU; did you mean RUN?",
        "    RNU x",
        "    ^^^",
        "Containerfile:4:3: COPY has no option --form; did you mean from?",
        "      --form=y a b",
        "      ^^^^^^",
        "Containerfile:6:1: there is no instruction EXPOSEE; did you mean EXPOSE?",
        "    EXPOSEE 80",
        "    ^^^^^^^",
    ]


def test_what_is_shown_of_a_line_can_do_nothing_to_a_terminal():
    assert "\x1b" not in refusal("FROM a\nRNU \x1b]0;x\x07\n")


def test_not_utf_8():
    with pytest.raises(RuntimeFailure, match="byte 12 is not UTF-8"):
        containerfile.parse(b"FROM a\nRUN x\xff\n", "Containerfile")


WORDS = [*instructions.OPTIONS, "<<EOF", "EOF", "\\", "--from=x", "--mount=type=cache,target=/a", "${a:-b}", "${", "'"]
WORDS += ['["a"]', "a=b", "#", "# escape=`", "AS", "\n", "\n", " ", "/x", "\t", "CMD", "--chmod=u=x", "[", "\x00", "é"]


@given(st.lists(st.sampled_from(WORDS), max_size=25), st.sampled_from([" ", ""]))
def test_any_file_is_read_or_refused(parts, between):
    text = between.join(parts)
    try:
        containerfile.parse(("FROM a\n" + text).encode(), "x")
    except RuntimeFailure as failure:
        assert failure.message


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        containerfile.parse(data, "x")
    except RuntimeFailure as failure:
        assert failure.message


NAMES = st.text(alphabet="abcXYZ_", min_size=1, max_size=8)
VALUES = st.text(alphabet="abc $'\"\\=#{}é", max_size=12)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=5))
def test_environment_that_is_quoted_comes_back(pairs):
    from shepherd.runtime.build import words

    def quoted(value):
        return '"' + "".join("\\" + char if char in '"$\\' else char for char in value) + '"'

    text = "ENV " + " \\\n  ".join(f"{name}={quoted(value)}" for name, value in pairs.items())
    (found,) = stage(text)
    assert {words.expand(name, {}): words.expand(value, {}) for name, value in found.arguments} == pairs


@given(st.lists(st.text(max_size=10).filter(lambda text: "\0" not in text), min_size=1, max_size=5))
def test_a_command_in_json_comes_back(command):
    import json

    (found,) = stage("CMD " + json.dumps(command))
    assert found.arguments == command


PARTS = [
    "type=",
    "cache",
    "bind",
    "secret",
    "tmpfs",
    "target=/x",
    ",",
    "=",
    "id=a",
    "mode=0",
    "size=1k",
    "uid=-1",
    "ro",
    "x",
]


@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_any_mount_is_read_or_refused(parts):
    try:
        mounting.parse("".join(parts))
    except Wrong as wrong:
        assert wrong.message


@given(st.text(alphabet="0123456789/-tcpudSIGERMNX+:. é", max_size=12))
def test_any_port_and_any_signal_is_taken_or_refused(text):
    for call in (lambda: settings.Settings({}).expose([text]), lambda: settings.Settings({}).set_stop_signal(text)):
        try:
            call()
        except Wrong as wrong:
            assert wrong.message


MODES = st.from_regex(r"\A([ugoa]{0,3}[-+=]([rwxXst]{0,4}|[ugo]))(,[ugoa]{0,2}[-+=][rwxX]{0,3}){0,2}\Z")


@hypothesis_settings(max_examples=60, deadline=None)
@given(MODES, st.integers(0, 0o7777), st.booleans())
def test_symbolic_modes_are_those_of_chmod(tmp_path_factory, text, mode, folder):
    """As the program chmod has it, with the umask 022."""
    place = tmp_path_factory.mktemp("mode") / "x"
    place.mkdir() if folder else place.touch()
    place.chmod(mode)
    before = stat.S_IMODE(place.stat().st_mode)
    done = subprocess.run(["sh", "-c", 'umask 022; chmod -- "$1" "$2" 2>&1', "sh", text, str(place)], check=False)
    if done.returncode == 0:
        expected = stat.S_IMODE(place.stat().st_mode)
        found = copying.mode_function(text)(before, folder)
        mask = 0o777 if folder else 0o7777  # chmod(1) leaves setuid of folders alone where it is not asked for
        assert found & mask == expected & mask, (text, oct(before))
