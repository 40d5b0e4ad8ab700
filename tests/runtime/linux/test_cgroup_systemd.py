"""Control groups by systemd: the messages, the names, and a scope of the real one's."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from groups import version2
from hypothesis import given
from hypothesis import strategies as st

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.cgroups import dbus, systemd

CHECKOUT = Path(__file__).parents[3]

basic = st.sampled_from(["y", "n", "q", "i", "u", "b", "x", "t", "d", "s", "o", "g"])
signatures = st.recursive(
    basic | st.just("v"),
    lambda inner: st.one_of(
        inner.map(lambda one: "a" + one),
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: "(" + "".join(parts) + ")"),
        st.tuples(basic, inner).map(lambda pair: "a{" + pair[0] + pair[1] + "}"),
    ),
    max_leaves=6,
)
NUMBERS = {"y": (0, 8), "n": (1, 16), "q": (0, 16), "i": (1, 32), "u": (0, 32), "x": (1, 64), "t": (0, 64)}


def values(draw, signature):
    """(a value of a signature, what it is when it comes back)."""
    kind = signature[0]
    if kind in NUMBERS:
        signed, bits = NUMBERS[kind]
        least = -(1 << bits - 1) if signed else 0
        value = draw(st.integers(least, least + (1 << bits) - 1))
        return value, value
    if kind == "b":
        return draw(st.just(True)), True
    if kind == "d":
        return 0.5, 0.5
    if kind in "sog":
        text = draw(st.text("ab/ü", max_size=5))
        return text, text
    if kind == "v":
        inner = draw(basic)
        value, back = values(draw, inner)
        return (inner, value), back
    if kind == "a":
        pairs = [values(draw, signature[1:]) for _turn in range(draw(st.integers(0, 3)))]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    pairs = [values(draw, inner) for inner in dbus.complete(signature[1:-1])]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


@given(st.data(), signatures)
def test_what_is_put_is_got(data, signature):
    value, back = values(data.draw, signature)
    assert dbus.complete(signature * 2) == [signature] * 2
    packed = bytearray()
    dbus.put(packed, signature, value)
    assert dbus.get(bytes(packed), 0, signature) == (back, len(packed))


def test_messages_are_laid_out_as_the_specification_says():
    """Its example of an array of 64 bits: length, padding up to eight, the number; and of a string."""
    packed = bytearray()
    dbus.put(packed, "at", [5])
    assert packed == b"\x08\0\0\0" + bytes(4) + b"\x05" + bytes(7)
    packed = bytearray(b"\0")
    dbus.put(packed, "s", "foo")
    assert packed == bytes(4) + b"\x03\0\0\0foo\0"
    assert dbus.get(b"\0\0\0\x03foo\0", 0, "s", ">") == ("foo", 8)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("system.slice", "system.slice"),
        ("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"),
        ("-", ""),
        ("-.slice", ""),
    ],
)
def test_slices_are_folders_in_one_another(name, folder):
    assert systemd.expand(name) == folder


@pytest.mark.parametrize("name", ["a", "a/b.slice", "-a.slice", "a--b.slice", "../x.slice", ".slice", "a b.slice"])
def test_names_that_are_of_no_slice(name):
    with pytest.raises(RuntimeFailure, match="/linux/cgroupsPath"):
        systemd.expand(name)


def test_a_path_that_is_none_for_systemd():
    for path in ("/a/b", "a:b", "a:b:c:d"):
        with pytest.raises(RuntimeFailure, match="/linux/cgroupsPath: should be SLICE:PREFIX:NAME"):
            systemd.choose(path, "c", {})
    with pytest.raises(RuntimeFailure, match="no name of a unit"):
        systemd.choose("system.slice:a/b:c", "c", {})


def test_limits_as_properties_of_version_2(tmp_path):
    resources = {
        "memory": {"limit": 1000, "swap": 1500, "reservation": 300},
        "cpu": {"shares": 1024, "quota": 1234, "period": 10000, "cpus": "0,9", "mems": "0"},
        "pids": {"limit": -1},
        "blockIO": {"weight": 1000},
        "devices": [{"allow": False}, {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "r"}],
    }
    found = {name: value for name, (_signature, value) in systemd.properties(version2(tmp_path), resources, 252)}
    assert (found["MemoryMax"], found["MemorySwapMax"], found["MemoryLow"]) == (1000, 500, 300)
    assert (found["CPUWeight"], found["IOWeight"], found["TasksMax"]) == (100, 10000, (1 << 64) - 1)
    assert (found["CPUQuotaPerSecUSec"], found["CPUQuotaPeriodUSec"]) == (130000, 10000)  # whole percents, up
    assert (found["AllowedCPUs"], found["AllowedMemoryNodes"]) == ([1, 2], [1])
    assert found["DevicePolicy"] == "strict"
    assert ("/dev/block/8:0", "r") in found["DeviceAllow"]
    assert ("char-pts", "rwm") in found["DeviceAllow"]
    assert found["IOAccounting"] is True
    older = {name for name, _value in systemd.properties(version2(tmp_path / "x"), resources, 240)}
    assert not older & {"AllowedCPUs", "CPUQuotaPeriodUSec"}
    allowed = dict(systemd.properties(version2(tmp_path / "y"), {"devices": [{"allow": True}]}, 252))
    assert allowed["DevicePolicy"] == ("s", "auto")


def test_a_machine_without_systemd(monkeypatch, tmp_path):
    class Nowhere(dbus.Connection):
        def __init__(self, path, bus):
            super().__init__(str(tmp_path / "absent"), bus)

    monkeypatch.setattr(dbus, "Connection", Nowhere)
    with pytest.raises(RuntimeFailure, match=r"--systemd-cgroup: cannot talk to systemd: .*No such file"):
        systemd.choose("", "c", {})


# the real one

PROGRAM = """#!/usr/bin/python3 -ISs
import sys
sys.path.insert(0, "/root/checkout")
from shepherd.runtime.cli.oci import main
sys.exit(main(sys.argv[1:]))
"""
UNPACK = """
import base64, io, sys, tarfile
tarfile.open(fileobj=io.BytesIO(base64.b64decode(sys.stdin.read()))).extractall("/root")
"""


class Machine:
    """A host with systemd, our runtime, and a bundle of busybox."""

    def __init__(self, host):
        self.host = host
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for path in (CHECKOUT / "shepherd" / "__init__.py", *(CHECKOUT / "shepherd" / "runtime").rglob("*.py")):
                archive.add(path, f"checkout/{path.relative_to(CHECKOUT)}")
            archive.add(os.path.realpath("/bin/busybox"), "bundle/rootfs/bin/busybox")
        host.exec(["python3", "-c", UNPACK], stdin=base64.b64encode(stream.getvalue()).decode())
        self.write("/root/runtime", PROGRAM)
        folders = " ".join(f"/root/bundle/rootfs/{name}" for name in ("proc", "dev", "sys", "tmp"))
        self.shell(f"mkdir -p {folders}; chmod 755 /root/runtime; for a in sh sleep cat; do"
                   " ln -sf busybox /root/bundle/rootfs/bin/$a; done")  # fmt: skip
        spec = "import sys; sys.path.insert(0, '/root/checkout'); from shepherd.runtime.bundle import template"
        self.config = json.loads(self.shell(f'python3 -c "{spec}; import json; print(json.dumps(template.config()))"'))
        self.config["process"].update(terminal=False, args=["sleep", "1000"])
        del self.config["process"]["rlimits"]

    def shell(self, script):
        done = self.host.exec(["sh", "-c", script], check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def write(self, path, text):
        self.host.exec(["sh", "-c", 'cat > "$0"', path], stdin=text)

    def runtime(self, *words):
        return self.host.exec(["/root/runtime", *words], check=False)

    def run(self, path, resources=None):
        """Start the container c: the exit code, and what is said. It keeps its output, which must be no pipe."""
        self.config["linux"].update(cgroupsPath=path, resources=resources or {})
        self.write("/root/bundle/config.json", json.dumps(self.config))
        words = "/root/runtime --systemd-cgroup run --bundle /root/bundle -d c"
        code = self.host.exec(["sh", "-c", words + " < /dev/null > /root/output 2>&1"], check=False).returncode
        return code, self.shell("cat /root/output")

    def shown(self, unit, *names):
        words = " ".join(f"-p {name}" for name in names)
        lines = self.shell(f"systemctl show {unit} {words}").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def limit(self, place, file):
        return self.shell(
            f"cat /sys/fs/cgroup/*/{place}/{file} /sys/fs/cgroup/{place}/{file} 2>/dev/null; true"
        ).strip()


@pytest.fixture(scope="module")
def machine(systemd_host):
    if b"/ld-linux" in Path(os.path.realpath("/bin/busybox")).read_bytes():
        pytest.skip("needs a busybox without libraries (Debian: busybox-static)")
    return Machine(systemd_host)


@pytest.fixture
def clean(machine):
    yield machine
    machine.runtime("delete", "--force", "c")
    assert "one.scope" not in machine.shell("systemctl list-units --all --no-legend --plain '*.scope'")
    assert machine.shell("find /sys/fs/cgroup -name '*-one.scope'") == ""


@pytest.mark.lab
@pytest.mark.systemd
def test_a_container_is_a_scope(clean):
    """Systemd knows of it and of its limits, and they are the same after it has read its files again."""
    resources = {
        "memory": {"limit": 64 << 20},
        "cpu": {"shares": 512, "quota": 20000, "period": 50000},
        "pids": {"limit": 20},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    assert clean.run("a-b.slice:test:one", resources) == (0, "")
    state = json.loads(clean.runtime("state", "c").stdout)
    shown = clean.shown(
        "test-one.scope", "ActiveState", "Slice", "Delegate", "TasksMax", "ControlGroup", "DevicePolicy"
    )
    assert shown == {
        "ActiveState": "active",
        "Slice": "a-b.slice",
        "Delegate": "yes",
        "TasksMax": "20",
        "ControlGroup": "/a.slice/a-b.slice/test-one.scope",
        "DevicePolicy": "strict",
    }
    assert str(state["pid"]) in clean.shell("systemd-cgls --no-pager -u test-one.scope")
    place = "a.slice/a-b.slice/test-one.scope"
    files = ("memory.limit_in_bytes", "pids.max", "cpu.shares", "cpu.cfs_quota_us", "memory.max", "cpu.max")
    before = [clean.limit(place, file) for file in files]
    devices = sorted(clean.limit(place, "devices.list").splitlines())
    assert str(64 << 20) in before
    assert "20" in before
    clean.shell("systemctl daemon-reload")
    assert [clean.limit(place, file) for file in files] == before
    assert sorted(clean.limit(place, "devices.list").splitlines()) == devices
    assert "a *:* rwm" not in devices
    for line in clean.shell(f"cat /proc/{state['pid']}/cgroup").splitlines():
        assert line.endswith("/" + place), line


@pytest.mark.lab
@pytest.mark.systemd
def test_its_limits_change(clean):
    assert clean.run(":test:one", {"memory": {"limit": 64 << 20}}) == (0, "")
    assert clean.runtime("update", "--memory", "100m", "--pids-limit", "33", "c").returncode == 0
    shown = clean.shown("test-one.scope", "MemoryLimit", "MemoryMax", "TasksMax", "Slice")
    assert str(100 << 20) in (shown.get("MemoryLimit"), shown.get("MemoryMax"))
    assert (shown["TasksMax"], shown["Slice"]) == ("33", "system.slice")
    assert clean.limit("system.slice/test-one.scope", "pids.max") == "33"
    assert clean.runtime("exec", "c", "cat", "/proc/self/cgroup").returncode == 0
    assert clean.runtime("pause", "c").returncode == 0
    assert json.loads(clean.runtime("state", "c").stdout)["status"] == "paused"


@pytest.mark.lab
@pytest.mark.systemd
@pytest.mark.parametrize("where", ["system", "other"])
def test_a_name_that_is_taken_is_refused(clean, where):
    """And whoever has it keeps it, in the same slice or another."""
    clean.shell(f"systemd-run --scope --slice {where}.slice --unit test-one.scope sleep 1000 >/dev/null 2>&1 &"
                " while ! systemctl is-active --quiet test-one.scope; do :; done")  # fmt: skip
    try:
        code, said = clean.run(":test:one")
        assert (code, "test-one.scope" in said, "Traceback" in said) == (1, True, False), said
        assert clean.shown("test-one.scope", "ActiveState") == {"ActiveState": "active"}
        assert clean.runtime("list", "-q").stdout == ""
    finally:
        clean.shell("systemctl stop test-one.scope")


@pytest.mark.lab
@pytest.mark.systemd
def test_what_has_no_path_gets_a_scope_of_its_own_name(clean):
    assert clean.run("") == (0, "")
    assert clean.shown("shepherd-c.scope", "ActiveState") == {"ActiveState": "active"}
    clean.runtime("delete", "--force", "c")
    assert clean.shown("shepherd-c.scope", "LoadState") == {"LoadState": "not-found"}


@pytest.mark.lab
@pytest.mark.systemd
def test_by_way_of_the_bus(clean):
    """Where systemd's own socket is not there, the machine's bus is."""
    clean.shell("mv /run/systemd/private /run/systemd/private.away")
    try:
        assert clean.run(":test:one", {"pids": {"limit": 9}}) == (0, "")
        assert clean.runtime("delete", "--force", "c").returncode == 0
    finally:
        clean.shell("mv /run/systemd/private.away /run/systemd/private")
