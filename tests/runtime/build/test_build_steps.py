"""Images really built: what each instruction does to files and settings."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from builds import Builds

pytestmark = pytest.mark.lab


def test_a_program_is_run_and_what_it_wrote_is_a_layer(base: Builds):
    result = base.built("FROM base:1\nRUN echo hi > /x; mkdir /d; rm /etc/group; echo said\n")
    assert "said" in result.said
    root = base.files()
    assert (root / "x").read_text() == "hi\n"
    assert not (root / "etc/group").exists()
    assert sorted(one.name for one in base.layer()) == [".", "d", "etc", "etc/.wh.group", "x"]
    assert base.groups() == []


def test_nothing_of_what_is_mounted_for_a_step_gets_into_the_image(base: Builds):
    base.load_base("bare:1", {"bin": None, "bin/sh": (base.files("base:1") / "bin/busybox").read_bytes()})
    base.built(
        "FROM base:1 AS a\nFROM bare:1\nCOPY --from=a --chmod=755 /bin/busybox /bin/sh\n"
        "RUN --mount=type=tmpfs,target=/deep/in/it --mount=type=cache,target=/c "
        '["/bin/sh", "-c", "echo a > /deep/in/it/f; echo b > /c/f; echo c > /made; ls -a / /etc"]\n'
    )
    assert sorted(one.name for one in base.layer()) == [".", "made"]


def test_a_step_that_changes_nothing_makes_no_layer(base: Builds):
    base.built('FROM base:1\nRUN true\nENV a=1\nRUN ["/bin/ls", "/"]\n')
    image = base.image()
    assert len(image.manifest.layers) == 1
    assert [entry.get("empty_layer") for entry in image.config.history] == [None, True, True, True]


def test_isolation_of_a_step(base: Builds):
    said = base.built("FROM base:1\nRUN id; hostname; cat /proc/self/status; ls /dev; ip link; cat /etc/hosts\n").said
    assert "uid=0(root) gid=0(root)" in said
    assert "build\n" in said
    for line in ("CapBnd:\t00000000a80425fb", "CapEff:\t00000000a80425fb", "CapInh:\t0000000000000000", "Seccomp:\t2"):
        assert line.replace("\t", " ") in said.replace("\t", " ")
    assert "sda" not in said
    assert "lo: <LOOPBACK,UP" in said and "eth0" not in said and "127.0.0.1 localhost" in said


def test_the_users_of_steps(base: Builds):
    base.built(
        "FROM base:1\nUSER user\nWORKDIR /mine\nRUN id > id; echo $HOME >> id\nUSER 1000:0\nRUN id > /mine/two\n"
        "USER 77\nRUN id > /tmp/three; stat -c %u:%g /tmp/three >> /tmp/three\n".replace("/tmp/", "/var/").replace(
            "USER 77\n", "USER 0\nRUN mkdir -m 777 /var\nUSER 77\n"
        )
    )
    root = base.files()
    assert (root / "mine/id").read_text() == "uid=1000(user) gid=1001(user) groups=2000(extra)\n/home/user\n"
    assert (root / "mine/two").read_text() == "uid=1000(user) gid=0(root)\n"
    assert (root / "var/three").read_text() == "uid=77 gid=0(root)\n77:0\n"
    assert (root / "mine").stat().st_uid == 1000


def test_a_step_that_fails(base: Builds):
    said = base.refused("FROM base:1\nENV a=1\nRUN echo oh >&2; \\\n  exit 7\n")
    assert "oh\n" in said
    assert "Containerfile:3: the command ended with exit code 7" in said
    assert "    RUN echo oh >&2; \\" in said
    assert "--network host" in said
    assert base.call("history", "t:1").returncode == 1
    assert base.groups() == []
    assert "executable file not found" in base.refused('FROM base:1\nRUN ["nothing"]\n')


def test_here_documents(base: Builds):
    base.built(
        'FROM base:1\nARG v=value\nSHELL ["/bin/sh", "-e", "-c"]\n'
        "RUN <<EOF\necho one > /one\necho $v >> /one\nEOF\n"
        "RUN <<'EOF'\n#!/bin/awk BEGIN{print 5}\nEOF\n".replace(
            "#!/bin/awk BEGIN{print 5}", "#!/bin/sh\necho $0 > /two"
        )
        + "RUN cat <<A > /three; cat <<'B' >> /three\n$v\nA\n$v\nB\n"
        "COPY <<four <<'five' /d/\n$v \\$v \"q\"\nfour\n$v\nfive\n"
        "COPY --chmod=700 --chown=3:4 <<x /six\n#!/bin/sh\nx\n"
    )
    root = base.files()
    assert (root / "one").read_text() == "one\nvalue\n"
    assert (root / "two").read_text() == "/dev/build-script\n"
    assert (root / "three").read_text() == "value\n$v\n"
    assert (root / "d/four").read_text() == 'value $v "q"\n'
    assert (root / "d/five").read_text() == "$v\n"
    found = (root / "six").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o700, 3, 4)


def test_settings(base: Builds):
    base.built(
        """\
FROM base:1
MAINTAINER me
ENV one=1 two="a b"
ENV old some words
ENV one=2 three=$one
LABEL l=1 m=$two
LABEL l="2"
EXPOSE 80 90/udp 100-102
VOLUME /a /b
VOLUME ["/c d"]
USER user:extra
WORKDIR /w
WORKDIR x/../y
STOPSIGNAL term
HEALTHCHECK --interval=1s --timeout=2s --start-period=3s --start-interval=4s --retries=5 CMD test -f /x
SHELL ["/bin/sh", "-xc"]
ENTRYPOINT top -b
CMD ["-c"]
ONBUILD RUN true
""",
        "--label", "n=3",
    )  # fmt: skip
    assert base.settings() == {
        "Env": ["one=2", "two=a b", "old=some words", "three=1"],
        "Labels": {"l": "2", "m": "a b", "n": "3"},
        "ExposedPorts": {"80/tcp": {}, "90/udp": {}, "100/tcp": {}, "101/tcp": {}, "102/tcp": {}},
        "Volumes": {"/a": {}, "/b": {}, "/c d": {}},
        "User": "user:extra",
        "WorkingDir": "/w/y",
        "StopSignal": "SIGTERM",
        "Healthcheck": {
            "Test": ["CMD-SHELL", "test -f /x"], "Interval": 10**9, "Timeout": 2 * 10**9, "StartPeriod": 3 * 10**9,
            "StartInterval": 4 * 10**9, "Retries": 5,
        },
        "Shell": ["/bin/sh", "-xc"],
        "Entrypoint": ["/bin/sh", "-xc", "top -b"],
        "Cmd": ["-c"],
        "OnBuild": ["RUN true"],
    }  # fmt: skip
    assert base.image().config.document["author"] == "me"


def test_an_entrypoint_takes_away_the_arguments_of_the_base(builds: Builds):
    builds.load_base("b:1", {"a": "x"}, Cmd=["theirs"], Env=["A=1"], Labels={"k": "v"})
    builds.built('FROM b:1\nENTRYPOINT ["x"]\nENV B=2\n', tag="one:1")
    assert builds.settings("one:1") == {"Env": ["A=1", "B=2"], "Labels": {"k": "v"}, "Entrypoint": ["x"]}
    builds.built('FROM b:1\nCMD ["ours"]\nENTRYPOINT ["x"]\n', tag="two:1")
    assert builds.settings("two:1")["Cmd"] == ["ours"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EXPOSE 70000", "ports are from 1 to 65535"),
        ("EXPOSE x", "x is no port"),
        ("STOPSIGNAL SIGTREM", "did you mean SIGTERM?"),
        ("COPY nothing /x", "nothing is not in the context"),
        ("COPY no*thing /x", "nothing in the context is called no*thing"),
        ("COPY --from=base:1 /nothing /x", "/nothing is not in base:1"),
        ("COPY --chown=nobody Containerfile /x", "the image has no user nobody"),
        ("COPY --chown=1:nogroup Containerfile /x", "the image has no group nogroup"),
        ("COPY --chown=4294967295 Containerfile /x", "higher than an id can be"),
        ("COPY --link --chown=user Containerfile /x", "the image has no user user"),
        ("COPY Containerfile /etc/passwd/x", "is no folder"),
        ("ARG m=999\nCOPY --chmod=$m Containerfile /x", "999 is no mode"),
        ("ARG m=bnid\nRUN --mount=type=$m,target=/x true", "did you mean bind?"),
        ("ARG n=bridge\nRUN --network=$n true", "there is no network bridge"),
        ("ARG c=md5:1\nADD --checksum=$c http://127.0.0.1:1/ /x", "not a digest"),
        ("ADD http://127.0.0.1:1/x /x", "refused"),
        ("COPY Containerfile /x/\nCOPY Containerfile /y\nCOPY d /y", "/y is no folder"),
        ("USER nobody\nRUN true", "the image has no user nobody"),
        ("RUN --network=host true", "the machine's network was not given"),
        ("RUN --mount=type=secret,id=s,required true", "the secret s is required"),
        ("RUN --mount=type=cache,target=/proc/x true", "no place to mount at"),
        ("RUN --mount=type=tmpfs,target=/ true", "no place to mount at"),
        ("RUN --mount=target=/x,source=/nothing true", "/nothing is not in the context"),
        ("ADD git@example.org:x.git /x", "repositories are not fetched"),
        ("ADD ftp://x/y /x", "only http and https"),
        ('ENV a="${b:?not there}"', "b: not there"),
    ],
)  # fmt: skip
def test_what_fails_says_where(base: Builds, text, message):
    base.write({"d/f": "x"})
    said = base.refused("FROM base:1\n" + text + "\n")
    assert message in said
    assert "Containerfile:" in said
