"""What the configuration of a bundle says of namespaces."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bundles import user_namespace

from tests.patience import seconds

pytestmark = pytest.mark.lab


# namespaces


def test_namespaces_are_new_unless_shared(bundle):
    names = ["cgroup", "ipc", "mnt", "net", "pid", "uts", "user"]
    script = f"for n in {' '.join(names)}; do readlink /proc/self/ns/$n; done"
    ours = [os.readlink(f"/proc/self/ns/{name}") for name in names]
    found = bundle.output(script).split()
    assert [one == other for one, other in zip(found, ours, strict=True)] == [False] * 6 + [True]
    bundle.without("network", "ipc", "cgroup")
    found = bundle.output(script).split()
    assert [one == other for one, other in zip(found, ours, strict=True)] == [
        True,
        True,
        False,
        True,
        False,
        False,
        True,
    ]


def test_names(bundle):
    bundle.config.update(hostname="sheep", domainname="meadow")
    assert bundle.output("hostname; cat /proc/sys/kernel/domainname") == "sheep\nmeadow\n"


def test_a_namespace_by_path(bundle, tmp_path):
    holder = subprocess.Popen(["unshare", "--net", "--uts", "sh", "-c", "hostname theirs; echo ok; cat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert holder.stdout.readline() == b"ok\n"
        del bundle.config["hostname"]
        for one in bundle.linux["namespaces"]:
            if one["type"] in ("network", "uts"):
                one["path"] = f"/proc/{holder.pid}/ns/{'net' if one['type'] == 'network' else 'uts'}"
        expected = [os.readlink(f"/proc/{holder.pid}/ns/{name}") for name in ("net", "uts")]
        found = bundle.output("readlink /proc/self/ns/net; readlink /proc/self/ns/uts; hostname").split()
        assert found == [*expected, "theirs"]
    finally:
        holder.communicate(timeout=seconds(30))


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/ns/uts", "/absent", "/dev/null"])
def test_a_path_that_is_no_such_namespace(bundle, path):
    for one in bundle.linux["namespaces"]:
        if one["type"] == "network":
            one["path"] = path
    assert path in bundle.refusal()


def test_a_user_namespace(bundle):
    user_namespace(bundle)
    bundle.process["capabilities"] = {name: ["CAP_SETUID"] for name in ("bounding", "effective", "permitted")}
    found = bundle.output(
        "id -u; cat /proc/self/uid_map /proc/self/gid_map; echo > /dev/null && stat -c %t:%T /dev/null"
    )
    assert found.split() == ["0", *["0", "100000", "65536"] * 2, "1:3"]
    assert bundle.traces() == []


@pytest.mark.parametrize("users", [False, True], ids=["", "users of its own"])
def test_clocks(bundle, users):
    if not os.path.exists("/proc/self/ns/time"):
        pytest.skip("this kernel has no time namespaces")
    if users:
        user_namespace(bundle)
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5}, "monotonic": {"secs": 7}}
    assert float(bundle.output("cat /proc/uptime").split()[0]) > 1000000


def test_parameters_of_namespaces(bundle):
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096", "net/ipv4/ip_default_ttl": "77"}
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_default_ttl"
    assert bundle.output(script).split() == ["1", "4096", "77"]
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


def test_a_parameter_that_does_not_exist(bundle):
    bundle.linux["sysctl"] = {"net.ipv4.absent": "1"}
    assert "/linux/sysctl/net.ipv4.absent" in bundle.refusal()
