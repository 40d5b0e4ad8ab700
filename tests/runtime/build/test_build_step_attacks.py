"""Steps of a build, and settings of its base, that mean harm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from builds import Builds
from canaries import SECRET, hostile_base, up

pytestmark = pytest.mark.lab


# Mounts of steps


def test_the_source_of_a_mount_is_found_in_what_it_is_of(base: Builds, canary: Path):
    base.write({"link": ("link", str(canary))})
    stage = (
        f"FROM base:1 AS one\nRUN ln -s {canary} /link; ln -s {up(canary)} /up; ln -s /proc/1/root /p\nFROM base:1\n"
    )
    for options in (
        "from=one,source=/link", "from=one,source=/up", f"from=one,source=../../..{canary}", "source=link",
        f"source={up(canary)}", f"source={canary}", "from=one,source=/p/etc", f"from=one,source=/link{canary}",
    ):  # fmt: skip
        for more in ("", ",rw"):
            text = (
                stage
                + f"RUN --mount=type=bind,target=/m,{options}{more} cat /m/secret; ls /m; touch /m/new; rm -rf /m/*\n"
            )
            result = base.build(text)
            assert result.code == 1 and SECRET not in result.said and "inner" not in result.said


def test_what_a_step_leaves_in_a_cache_leads_nowhere(base: Builds, canary: Path):
    base.built(
        "FROM base:1\nRUN --mount=type=cache,id=c,target=/c "
        f"ln -s {canary} /c/link; ln -s {up(canary)} /c/up; ln -s / /c/top; mkdir /c/d\n"
    )
    for source in ("link", "up", "link/inner", f"top{canary}", "../../../canary", str(canary)):
        said = base.refused(f"FROM base:1\nRUN --mount=type=cache,id=c,target=/m,source={source} ls /m; touch /m/new\n")
        assert "No such file" in said or "too many levels" in said.lower()
    for name in ("../../../canary", str(canary), ".", ""):
        base.build(f'FROM base:1\nRUN --mount=type=cache,id="{name}",target=/m touch /m/new; rm -rf /m/*\n')


def test_the_target_of_a_mount_is_in_the_container(base: Builds, canary: Path):
    hostile_base(base, {"t": ("link", str(canary)), "u": ("link", up(canary)), "proc": ("link", str(canary))})
    assert "proc" in base.refused("FROM hostile:1\nRUN true\n")
    hostile_base(
        base, {"t": ("link", str(canary)), "u": ("link", up(canary)), "etc/hosts": ("link", str(canary / "secret"))}
    )
    base.write({"f": "x"})
    for target in ("/t/new", "/u/new", "/t", "/t/inner", f"../../..{canary}/new"):
        for kind in ("type=tmpfs", "type=cache", "type=bind,source=f", "type=secret,id=x"):
            words = ("--secret", f"id=x,src={base.context}/f")
            base.build(f"FROM hostile:1\nRUN --mount={kind},target={target} true; echo ran > /ran\n", *words)


def test_a_step_that_moves_what_is_mounted_on(base: Builds, canary: Path):
    """Nothing is taken away afterwards that was made to be mounted on: so no link in its place is followed."""
    base.built(
        "FROM base:1\nRUN --mount=type=tmpfs,target=/a/b/secret "
        f"mv /a /gone; ln -s {canary.parent} /a; ln -s {canary} /a/b; true\n"
        f"RUN --mount=type=cache,target=/k/secret rm -rf /k; umount /k/secret; ln -s {canary} /k; true\n"
    )


# What a step can do


def test_a_step_sees_nothing_of_the_machine(base: Builds, canary: Path):
    script = f"""\
FROM base:1
RUN <<EOF
cat {canary}/secret && echo escaped
cat /proc/1/root{canary}/secret && echo escaped
for fd in /proc/self/fd/*; do cat $fd/..{canary}/secret && echo escaped; done
ls -l /proc/self/fd
mount -t tmpfs none /tmp && echo escaped
mount -o remount,rw /sys && echo escaped
unshare -U true && echo escaped
mknod /disk b 8 0 && cat /disk && echo escaped
echo b > /proc/sysrq-trigger && echo escaped
echo x > /proc/sys/kernel/core_pattern && echo escaped
cat /proc/kcore | head -c 1 | grep -q . && echo escaped
echo 1 > /sys/kernel/uevent_helper && echo escaped
mkdir /sys/fs/cgroup/pids/new && echo escaped
mkdir /sys/fs/cgroup/new && [ -e /sys/fs/cgroup/new/cgroup.procs ] && echo escaped
ping -c 1 -W 1 10.255.255.1 && echo escaped
ls /proc | grep -c '^[0-9]'
true
EOF
"""
    result = base.built(script)
    assert "escaped" not in [line.split()[-1] for line in result.said.splitlines() if line.split()]
    assert str(base.root) not in result.said.partition("cat: ")[2].replace(str(canary), "")


def test_what_a_step_writes_can_do_nothing_to_a_terminal(base: Builds):
    said = base.built(
        "FROM base:1\nRUN printf '\\033]0;owned\\007\\033[2J\\r\\n'; printf 'no end of line\\033c'\n"
    ).said
    assert "\x1b" not in said and "\x07" not in said
    assert "no end of line" in said


def test_the_machines_network_has_to_be_given(base: Builds):
    text = "FROM base:1\nRUN --network=host ip link > /links; readlink /proc/self/ns/net > /ns\n"
    base.refused(text)
    base.built(text, "--allow", "network.host")
    assert (base.files() / "ns").read_text().strip() == os.readlink("/proc/self/ns/net")
    base.built("FROM base:1\nRUN readlink /proc/self/ns/net > /ns\n", "--network", "host", tag="t:2")
    assert (base.files("t:2") / "ns").read_text().strip() == os.readlink("/proc/self/ns/net")
    base.built("FROM base:1\nRUN --network=none readlink /proc/self/ns/net > /ns\n", "--network", "host", tag="t:3")
    assert (base.files("t:3") / "ns").read_text().strip() != os.readlink("/proc/self/ns/net")


# What an image says


@pytest.mark.parametrize(
    "config",
    [
        {"Env": "x"}, {"Env": [1]}, {"Env": ["novalue", "=x", ""]}, {"Env": {"a": "b"}}, {"WorkingDir": 3},
        {"WorkingDir": "../../../.."}, {"WorkingDir": "/proc/self/fd/3"}, {"User": ["x"]}, {"User": "-1"},
        {"Shell": "sh"}, {"Shell": []}, {"Shell": [1]}, {"Labels": ["x"]}, {"ExposedPorts": ["80"]}, {"Volumes": 1},
        {"Volumes": {"/../../etc": {}}}, {"OnBuild": "RUN true"}, {"OnBuild": [1]}, {"OnBuild": ["FROM x"]},
        {"OnBuild": ["ONBUILD RUN true"]}, {"OnBuild": ["RUN <<EOF"]}, {"OnBuild": ["COPY --from=0 a b", "nonsense"]},
        {"OnBuild": ["RUN --network=host true"]}, {"OnBuild": ["RUN --mount=type=secret,id=x,required true"]},
        {"Env": ["a=b\u0000c"]}, {"Env": ["LD_PRELOAD=/x", "PATH=/nowhere"]}, {"Entrypoint": 1}, {"Cmd": {}},
    ],
)  # fmt: skip
def test_settings_of_a_base_that_are_not_as_they_should_be(base: Builds, canary: Path, config):
    hostile_base(base, {}, **config)
    text = "FROM hostile:1\nENV a=1\nLABEL a=1\nEXPOSE 1\nVOLUME /v\nWORKDIR x\n"
    text += 'RUN ["/bin/true"]\nRUN true\nCMD x\nENTRYPOINT x\n'
    result = base.build(text)
    assert result.code in (0, 1)
    assert result.code == 0 or "Containerfile:" in result.said or "ONBUILD" in result.said
