"""What the limits of a bundle do to the processes in it, on this machine's kernel."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from grouped import needs, start

from tests import warm
from tests.patience import seconds

pytestmark = pytest.mark.lab


MEGA = 1 << 20


def text(group, controller, *names):
    """What the first of these files says that there is."""
    _version, folder = group.home(controller)
    return next(Path(folder, name).read_text().strip() for name in names if Path(folder, name).exists())


def until(condition, what):
    deadline = time.monotonic() + seconds(60)
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


# limits


def test_memory_is_limited(bundle, group):
    """Attack: more memory than there is to have. The kernel ends who asks for it, and that is seen."""
    needs(group, "memory")
    bundle.linux["resources"] = {"memory": {"limit": 16 * MEGA, "swap": 16 * MEGA}}
    start(bundle, "tail /dev/zero; sleep 1000")
    until(lambda: group.oom_kills() > 0, "it was not ended")
    assert bundle.state()["status"] == "running"
    usage = json.loads(bundle.do("events", "--stats", "c"))["data"]["memory"]["usage"]
    assert usage["limit"] == 16 * MEGA
    assert usage["max"] <= 16 * MEGA


def test_a_container_that_ran_out_of_memory_ends_by_signal_9(bundle, group):
    needs(group, "memory")
    bundle.linux["resources"] = {"memory": {"limit": 16 * MEGA, "swap": 16 * MEGA}}
    assert bundle.shell("exec tail /dev/zero").returncode == 137
    assert bundle.traces() == []


def test_running_out_of_memory_is_an_event(bundle, group):
    needs(group, "memory")
    bundle.linux["resources"] = {"memory": {"limit": 16 * MEGA, "swap": 16 * MEGA}}
    start(bundle, "sleep 1000")
    words = bundle.argv("events", "--interval", "50ms", "c")
    with warm.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "stats"
        assert bundle.call("exec", "c", "tail", "/dev/zero").returncode == 137
        kinds = {"stats"}
        for line in process.stdout:
            event = json.loads(line)
            kinds.add(event["type"])
            assert event["id"] == "c"
            if event["type"] == "oom":
                bundle.do("kill", "c", "KILL")  # and with that the events end
        assert kinds == {"stats", "oom"}
    assert process.returncode == 0


def test_processes_are_limited(bundle, group):
    """Attack: a fork bomb. It gets no further than its limit, and is ended as a whole, while it goes on."""
    needs(group, "pids")
    bundle.linux["resources"] = {"pids": {"limit": 40}}
    bundle.without("pid")  # nothing ends with the first process
    start(bundle, "f() { f & f & }; f 2>/dev/null")
    until(lambda: int(text(group, "pids", "pids.events").split()[1]) > 0, "nothing was refused")
    assert int(text(group, "pids", "pids.current")) <= 40
    bundle.do("delete", "--force", "c")
    assert bundle.traces() == []


def test_the_limit_of_processes_is_shown(bundle, group):
    needs(group, "pids")
    bundle.linux["resources"] = {"pids": {"limit": 12}}
    start(bundle, "sleep 1000 & wait")
    until(lambda: json.loads(bundle.do("events", "--stats", "c"))["data"]["pids"] == {"current": 2, "limit": 12}, "no")


def test_a_fork_that_is_refused_is_told_inside(bundle, group):
    needs(group, "pids")
    bundle.linux["resources"] = {"pids": {"limit": 3}}
    done = bundle.shell("for i in 1 2 3 4 5 6; do sleep 1000 & done; echo not here")
    assert done.returncode != 0
    assert "fork" in done.stderr


def test_processor_time_is_limited(bundle, group):
    needs(group, "cpu")
    bundle.linux["resources"] = {"cpu": {"quota": 2000, "period": 20000, "shares": 700}}
    start(bundle, "while :; do :; done")

    def throttled():
        found = json.loads(bundle.do("events", "--stats", "c"))["data"]["cpu"]
        return found["throttling"]["throttledPeriods"] > 2 and found["throttling"]["throttledTime"] > 0

    until(throttled, "it was never made to wait")
    assert json.loads(bundle.do("events", "--stats", "c"))["data"]["cpu"]["usage"]["total"] > 0


def test_processors_are_chosen(bundle, group):
    needs(group, "cpuset")
    bundle.linux["resources"] = {"cpu": {"cpus": "0", "mems": "0"}}
    assert "Cpus_allowed_list:\t0\n" in bundle.output("cat /proc/self/status")


def test_huge_pages_are_limited(bundle, group):
    needs(group, "hugetlb")
    bundle.linux["resources"] = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MEGA}]}
    start(bundle, "sleep 1000")
    assert text(group, "hugetlb", "hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes") == str(4 * MEGA)
    assert json.loads(bundle.do("events", "--stats", "c"))["data"]["hugetlb"]["2MB"]["usage"] == 0


def test_reads_and_writes_are_limited(bundle, group):
    needs(group, "blkio")
    major, minor = Path("/proc/partitions").read_text().splitlines()[2].split()[:2]
    rate = {"major": int(major), "minor": int(minor), "rate": 5 * MEGA}
    bundle.linux["resources"] = {"blockIO": {"throttleWriteBpsDevice": [rate]}}
    start(bundle, "dd if=/dev/zero of=/tmp/file bs=1M count=2 conv=fsync; sleep 1000")
    names = ("blkio.throttle.write_bps_device", "io.max")
    assert text(group, "blkio", *names).startswith(f"{major}:{minor} ")
    assert str(5 * MEGA) in text(group, "blkio", *names)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"memory": {"limit": "1"}}, "/linux/resources/memory/limit: should be a whole number"),
        ({"cpu": {"cpus": "4000"}}, "/linux/resources/cpu/cpus: cannot write '4000'"),
        ({"cpu": {"idle": 3}}, "/linux/resources/cpu/idle: should be 0 or 1"),
        ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "/linux/resources/rdma"),
        ({"rdma": {"mlx5_1": {}}}, "/linux/resources/rdma/mlx5_1: should have hcaHandles or hcaObjects"),
        ({"unified": {"no.such": "1"}}, "/linux/resources/unified/no.such: "),
        ({"devices": [{"allow": True, "access": "x"}]}, "/linux/resources/devices/0/access: should be"),
        ({"devices": [{"allow": "yes"}]}, "/linux/resources/devices/0/allow: should be true or false"),
        ({"pids": {}}, "/linux/resources/pids/limit: is required"),
        ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "/linux/resources/hugepageLimits/0/pageSize: "),
    ],
)
def test_what_cannot_be_limited_is_told(bundle, group, resources, message):
    if "cpus" in resources.get("cpu", ()):
        needs(group, "cpuset")
    bundle.linux["resources"] = resources
    assert message in bundle.refusal()


# changing them


def test_limits_change_while_it_runs(bundle, group):
    needs(group, "memory", "cpu", "pids")
    bundle.linux["resources"] = {"memory": {"limit": 32 * MEGA}, "pids": {"limit": 20}}
    start(bundle, "sleep 1000")
    memory = ("memory.limit_in_bytes", "memory.max")
    bundle.do("update", "--memory", "48m", "--memory-swap", "64m", "--cpu-quota", "3000", "--cpu-period", "30000", "c")
    assert text(group, "memory", *memory) == str(48 * MEGA)
    assert text(group, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "3000"
    done = bundle.call("update", "--memory", "40m", "--pids-limit", "5", "--cpuset-cpus", "77777", "c")
    assert (done.returncode, "/linux/resources/cpu/cpus" in done.stderr) == (1, True)
    assert (text(group, "memory", *memory), text(group, "pids", "pids.max")) == (str(48 * MEGA), "20")
    file = bundle.folder / "resources.json"
    file.write_text(json.dumps({"pids": {"limit": -1}, "memory": {"reservation": 8 * MEGA}}))
    bundle.do("update", "-r", str(file), "c")
    assert text(group, "pids", "pids.max") == "max"
    assert text(group, "memory", "memory.soft_limit_in_bytes", "memory.low") == str(8 * MEGA)
    kept = json.loads((bundle.state_folder / "c" / "state.json").read_text())["config"]["linux"]["resources"]
    assert kept["memory"] == {"limit": 48 * MEGA, "swap": 64 * MEGA, "reservation": 8 * MEGA}
    assert kept["pids"] == {"limit": -1}


def test_a_limit_below_what_is_used_is_refused(bundle, group):
    needs(group, "memory")
    bundle.linux["resources"] = {"memory": {"limit": 64 * MEGA, "checkBeforeUpdate": True}}
    bundle.mount("/tmp", "tmpfs", kind="tmpfs")
    start(bundle, "head -c 20000000 /dev/zero > /tmp/file; touch /tmp/done; sleep 1000")
    until(lambda: bundle.call("exec", "c", "ls", "/tmp/done").returncode == 0, "it did not begin")
    done = bundle.call("update", "--memory", "8m", "c")
    assert done.returncode == 1
    assert "/linux/resources/memory/limit" in done.stderr
    assert text(group, "memory", "memory.limit_in_bytes", "memory.max") == str(64 * MEGA)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--memory", "x"], "--memory: should be a whole number"),
        (["--l3-cache-schema", "L3:0=f"], "--l3-cache-schema: is not supported"),
        ([], "no change is asked for"),
        (["-r", "/absent"], "cannot read /absent"),
        (["--memory", "100m", "--memory-swap", "50m"], "/linux/resources/memory/swap: should not be below limit"),
    ],
)
def test_changes_that_are_none(bundle, words, message):
    start(bundle, "sleep 1000")
    done = bundle.call("update", *words, "c")
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr


def test_devices_change_while_it_runs(bundle, group):
    needs(group, "devices")
    if not os.path.exists("/dev/fuse"):
        pytest.skip("needs a device that needs no capability: /dev/fuse")
    bundle.process["capabilities"] = {kind: ["CAP_MKNOD"] for kind in ("bounding", "effective", "permitted")}
    start(bundle, "mknod /tmp/fuse c 10 229; sleep 1000")
    until(lambda: bundle.call("exec", "c", "ls", "/tmp/fuse").returncode == 0, "there is no node")
    read = ["exec", "c", "sh", "-c", ": < /tmp/fuse"]
    assert "not permitted" in bundle.call(*read).stderr
    rule = {"devices": [{"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"}]}
    bundle.do("update", "-r", "-", "c", stdin=None, input=json.dumps(rule))
    assert bundle.call(*read).returncode == 0
    bundle.do("update", "-r", "-", "c", stdin=None, input='{"devices": []}')
    assert "not permitted" in bundle.call(*read).stderr


# pausing


def test_paused_is_not_running(bundle, group):
    needs(group, "freezer")
    start(bundle, "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; done")
    count = bundle.rootfs / "tmp" / "count"
    until(count.exists, "it did not begin")
    bundle.do("pause", "c")
    assert group.is_frozen()
    assert bundle.state()["status"] == "paused"
    before = count.read_text()
    assert "paused" in bundle.call("exec", "c", "true").stderr
    assert count.read_text() == before
    bundle.do("resume", "c")
    until(lambda: count.read_text() != before, "it does not go on")
    assert "not paused" in bundle.call("resume", "c").stderr
