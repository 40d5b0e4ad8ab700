"""Limits of the OCI specification become text in files, for each version of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from groups import said, version1, version2

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import cgroups
from shepherd.runtime.linux.cgroups import folders, limits
from shepherd.runtime.linux.cgroups import version2 as new

# what /linux/resources says → (file of version 2, what is in it then)
NEW = [
    ({"memory": {"limit": 1000}}, {"memory.max": "1000"}),
    ({"memory": {"limit": -1}}, {"memory.max": "max", "memory.swap.max": "max"}),
    ({"memory": {"limit": 0}}, {"memory.max": "max\n"}),
    ({"memory": {"limit": 1000, "swap": 1500}}, {"memory.max": "1000", "memory.swap.max": "500"}),
    ({"memory": {"limit": 1000, "swap": 1000}}, {"memory.swap.max": "0"}),
    ({"memory": {"limit": 1000, "swap": -1}}, {"memory.swap.max": "max"}),
    ({"memory": {"reservation": 500}}, {"memory.low": "500"}),
    ({"memory": {"reservation": -1}}, {"memory.low": "max"}),
    ({"memory": {"disableOOMKiller": False, "useHierarchy": True, "kernel": -1, "kernelTCP": 0}}, {}),
    ({"cpu": {"shares": 1024}}, {"cpu.weight": "100"}),
    ({"cpu": {"quota": 20000}}, {"cpu.max": "20000 100000"}),
    ({"cpu": {"quota": 20000, "period": 50000}}, {"cpu.max": "20000 50000"}),
    ({"cpu": {"period": 50000}}, {"cpu.max": "max 50000"}),
    ({"cpu": {"quota": -1, "period": 50000}}, {"cpu.max": "max 50000"}),
    ({"cpu": {"quota": 3000, "burst": 2000}}, {"cpu.max.burst": "2000"}),
    ({"cpu": {"idle": 1}}, {"cpu.idle": "1"}),
    ({"cpu": {"cpus": "0-1", "mems": "0"}}, {"cpuset.cpus": "0-1", "cpuset.mems": "0"}),
    ({"pids": {"limit": 7}}, {"pids.max": "7"}),
    ({"pids": {"limit": -1}}, {"pids.max": "max"}),
    ({"pids": {"limit": 0}}, {"pids.max": "max"}),
    ({"blockIO": {"weight": 10}}, {"io.weight": "default 1"}),
    ({"blockIO": {"weight": 1000}}, {"io.weight": "default 10000"}),
    ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 505}]}}, {"io.weight": "8:0 5000"}),
    ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]}}, {"io.max": "8:0 rbps=9"}),
    ({"blockIO": {"throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]}}, {"io.max": "8:0 wbps=9"}),
    ({"blockIO": {"throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 9}]}}, {"io.max": "8:0 riops=9"}),
    ({"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 0}]}}, {"io.max": "8:0 wiops=max"}),
    (
        {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]},
        {"hugetlb.2MB.max": "4194304", "hugetlb.2MB.rsvd.max": "4194304"},
    ),
    (
        {"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}},
        {"rdma.max": "mlx5_1 hca_handle=3 hca_object=10000"},
    ),
    ({"rdma": {"mlx5_1": {"hcaObjects": 1}}}, {"rdma.max": "mlx5_1 hca_object=1"}),
    ({"unified": {"memory.high": "5000", "cpu.weight": "7"}}, {"memory.high": "5000", "cpu.weight": "7"}),
]


@pytest.mark.parametrize(("resources", "files"), NEW, ids=[str(one[0]) for one in NEW])
def test_version_2(tmp_path, resources, files):
    group = version2(tmp_path)
    limits.apply(group, resources)
    assert {name: said(group, name) for name in files} == files


REFUSED_NEW = [
    ({"memory": {"swappiness": 0}}, "/memory/swappiness: version 2"),
    ({"memory": {"kernel": 100}}, "/memory/kernel: version 2"),
    ({"memory": {"kernelTCP": 100}}, "/memory/kernelTCP: version 2"),
    ({"memory": {"disableOOMKiller": True}}, "/memory/disableOOMKiller: version 2"),
    ({"memory": {"useHierarchy": False}}, "/memory/useHierarchy: version 2"),
    ({"memory": {"swap": 100}}, "/memory/swap: needs a limit"),
    ({"memory": {"limit": 1, "checkBeforeUpdate": True}}, "/memory/limit: the container uses 4096 bytes"),
    ({"cpu": {"realtimeRuntime": 100}}, "/cpu/realtimeRuntime: version 2"),
    ({"cpu": {"realtimePeriod": 100}}, "/cpu/realtimePeriod: version 2"),
    ({"blockIO": {"leafWeight": 100}}, "/blockIO/leafWeight: version 2"),
    (
        {"blockIO": {"weightDevice": [{"major": 1, "minor": 0, "leafWeight": 100}]}},
        "/blockIO/weightDevice/0/leafWeight: version 2",
    ),
    ({"network": {"classID": 1}}, "/network/classID: this machine has no control groups with the controller net_cls"),
    (
        {"network": {"priorities": [{"name": "lo", "priority": 1}]}},
        "/network/priorities: this machine has no control groups with the controller net_prio",
    ),
    ({"hugepageLimits": [{"pageSize": "1GB", "limit": 0}]}, "/hugepageLimits/0/pageSize: the control groups"),
    ({"unified": {"misc.max": "1"}}, "/unified/misc.max: the control groups"),
    ({"unified": {"../c/cpu.weight": "1"}}, "/unified/../c/cpu.weight: '../c/cpu.weight' is no name"),
]
REFUSED_EVERYWHERE = [
    ({"memory": {"limit": 100, "swap": 50}}, "/memory/swap: should not be below limit"),
    ({"memory": {"limit": -2}}, "/memory/limit: should be a number of bytes"),
    ({"memory": {"swappiness": 101}}, "/memory/swappiness: should be from 0 to 100"),
    ({"cpu": {"quota": 1000, "burst": 2000}}, "/cpu/burst: should not be above quota"),
    ({"cpu": {"idle": 2}}, "/cpu/idle: should be 0 or 1"),
    ({"blockIO": {"weight": 5}}, "/blockIO/weight: should be from 10 to 1000"),
    ({"blockIO": {"weightDevice": [{"major": 1, "minor": 0}]}}, "/blockIO/weightDevice/0: should have weight"),
    ({"hugepageLimits": [{"pageSize": "2M", "limit": 0}]}, "/hugepageLimits/0/pageSize: should be like 64KB"),
    ({"hugepageLimits": [{"pageSize": "../2MB", "limit": 0}]}, "/hugepageLimits/0/pageSize: should be like 64KB"),
    ({"network": {"priorities": [{"name": "a b", "priority": 1}]}}, "/network/priorities/0/name: 'a b' is no name"),
    ({"rdma": {"": {"hcaHandles": 1}}}, "/rdma/: '' is no name"),
]


@pytest.mark.parametrize(("resources", "message"), REFUSED_NEW + REFUSED_EVERYWHERE)
def test_what_version_2_cannot_do_is_told(tmp_path, resources, message):
    group = version2(tmp_path)
    before = {path.name: path.read_text() for path in Path(group.unified or "").iterdir()}
    with pytest.raises(RuntimeFailure) as caught:
        limits.apply(group, resources)
    assert caught.value.message.startswith("/linux/resources" + message)
    assert {path.name: path.read_text() for path in Path(group.unified or "").iterdir()} == before


def test_a_controller_that_is_not_handed_down_is_named(tmp_path):
    group = version2(tmp_path, {"pids.max": None})
    Path(group.unified or "", "cgroup.controllers").write_text("cpu memory")
    with pytest.raises(RuntimeFailure, match="/pids/limit: the controller pids is not handed down"):
        limits.apply(group, {"pids": {"limit": 1}})
    none = cgroups.Group("c", [])
    with pytest.raises(RuntimeFailure, match=r"/network/classID: this machine has no control groups with .* net_cls"):
        limits.apply(none, {"network": {"classID": 1}})
    with pytest.raises(RuntimeFailure, match=r"/unified/a\.b: this machine has no version 2"):
        limits.apply(none, {"unified": {"a.b": "1"}})


def test_weights_by_bfq_are_as_in_version_1(tmp_path):
    group = version2(tmp_path, {"io.bfq.weight": "default 100\n"})
    limits.apply(group, {"blockIO": {"weight": 400}})
    assert (said(group, "io.bfq.weight"), said(group, "io.weight")) == ("default 400", "default 100\n")


def test_shares_and_weights_are_least_usual_and_largest_alike():
    pairs = [(2, 1), (3, 2), (1024, 100), (2000, 170), (22000, 1204), (262144, 10000), (1 << 63, 10000)]
    assert [(shares, new.weight_of_shares(shares)) for shares, _weight in pairs] == pairs
    weights = [new.weight_of_shares(shares) for shares in range(2, 262144, 97)]
    assert weights == sorted(weights)
    assert [new.weight_of_blkio(weight) for weight in (10, 1000)] == [1, 10000]


# files of version 1, by controller; what is said; what is in them then
OLD = [
    ({"cpu": {"shares": 512}}, "cpu", "cpu.shares", "512"),
    ({"cpu": {"quota": -5}}, "cpu", "cpu.cfs_quota_us", "-1"),
    ({"cpu": {"burst": 0}}, "cpu", "cpu.cfs_burst_us", "0"),
    ({"cpu": {"realtimeRuntime": 5, "realtimePeriod": 9}}, "cpu", "cpu.rt_runtime_us", "5"),
    ({"memory": {"reservation": 5}}, "memory", "memory.soft_limit_in_bytes", "5"),
    ({"memory": {"disableOOMKiller": True}}, "memory", "memory.oom_control", "1"),
    ({"memory": {"swappiness": 0}}, "memory", "memory.swappiness", "0"),
    ({"memory": {"kernelTCP": 77}}, "memory", "memory.kmem.tcp.limit_in_bytes", "77"),
    ({"blockIO": {"weight": 100}}, "blkio", "blkio.weight", "100"),
    ({"blockIO": {"leafWeight": 100}}, "blkio", "blkio.leaf_weight", "100"),
    (
        {"blockIO": {"weightDevice": [{"major": 8, "minor": 1, "weight": 20, "leafWeight": 30}]}},
        "blkio",
        "blkio.leaf_weight_device",
        "8:1 30",
    ),
    (
        {"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 1, "rate": 20}]}},
        "blkio",
        "blkio.throttle.write_iops_device",
        "8:1 20",
    ),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 8}]}, "hugetlb", "hugetlb.2MB.limit_in_bytes", "8"),
    ({"network": {"classID": 1048577}}, "net_cls", "net_cls.classid", "1048577"),
    ({"network": {"priorities": [{"name": "eth0", "priority": 5}]}}, "net_prio", "net_prio.ifpriomap", "eth0 5"),
    ({"rdma": {"d": {"hcaHandles": 1}}}, "rdma", "rdma.max", "d hca_handle=1"),
]


@pytest.mark.parametrize(("resources", "controller", "file", "text"), OLD, ids=[one[2] for one in OLD])
def test_version_1(tmp_path, resources, controller, file, text):
    others = ["blkio.weight_device", "cpu.rt_period_us"]
    group = version1(tmp_path, **{controller: [file, *others]})
    limits.apply(group, resources)
    assert said(group, file, controller) == text


def test_what_this_kernel_does_not_have_is_told(tmp_path):
    group = version1(tmp_path, blkio=[], memory=[], hugetlb=[])
    for resources, message in [
        (
            {"blockIO": {"weight": 100}},
            "/blockIO/weight: the control groups of this machine have no file blkio.bfq.weight",
        ),
        ({"memory": {"swap": 100}}, "/memory/swap: the control groups of this machine have no file memory.memsw"),
        ({"hugepageLimits": [{"pageSize": "16GB", "limit": 1}]}, "/hugepageLimits/0/pageSize: the control groups"),
        ({"pids": {"limit": 1}}, "/pids/limit: this machine has no control groups with the controller pids"),
    ]:
        with pytest.raises(RuntimeFailure) as caught:
            limits.apply(group, resources)
        assert caught.value.message.startswith("/linux/resources" + message)


def test_figures_of_version_2(tmp_path):
    group = version2(tmp_path)
    found = group.stats()
    assert found["cpu"]["usage"] == {"total": 30000, "kernel": 10000, "user": 20000}
    assert found["cpu"]["throttling"] == {"periods": 5, "throttledPeriods": 2, "throttledTime": 9000}
    assert found["cpuset"] == {"cpus": [0, 1, 3], "mems": [0]}
    assert found["memory"]["usage"] == {"limit": (1 << 64) - 1, "usage": 4096, "max": 8192, "failcnt": 3}
    assert (found["memory"]["cache"], found["memory"]["swap"]["usage"]) == (2048, 4196)
    assert found["memory"]["psi"]["some"] == {"avg10": 0.5, "avg60": 0.0, "avg300": 0.0, "total": 77}
    assert found["pids"] == {"current": 3, "limit": 0}
    entry = {"major": 8, "minor": 0, "op": "Write", "value": 200}
    assert entry in found["blkio"]["ioServiceBytesRecursive"]
    assert found["hugetlb"] == {"2MB": {"usage": 2097152, "max": 0, "failcnt": 4}}
    assert group.oom_kills() == 1


def test_a_group_of_version_2_is_frozen_when_the_kernel_says_so(tmp_path):
    group = version2(tmp_path, {"cgroup.events": "populated 1\nfrozen 1\n"})
    group.freeze()
    assert (said(group, "cgroup.freeze"), group.is_frozen()) == ("1", True)
    group.thaw()
    assert (said(group, "cgroup.freeze"), group.is_frozen()) == ("0", False)


def test_controllers_are_handed_down(tmp_path):
    top = tmp_path / "v2"
    group = version2(tmp_path, {"cgroup.subtree_control": "memory"})
    (Path(group.unified or "") / "x").mkdir()
    cgroups.Group("shepherd/c", group.found).make()
    written = (top / "cgroup.subtree_control").read_text()
    assert written.startswith("+") and written[1:] in said(group, "cgroup.controllers")


def test_a_process_beside_those_that_moved_on(tmp_path, monkeypatch):
    """Where the container's first process has made groups below its own, `exec` joins it there."""
    group = version2(tmp_path)
    inner = Path(group.unified or "", "inner")
    inner.mkdir()
    (inner / "cgroup.procs").write_text("")
    assert group._below(group.unified, os.getpid()) == group.unified
    text = f"0::/{group.path}/inner\n"
    monkeypatch.setattr("shepherd.runtime.linux.cgroups.folders.read", lambda *_path: text)
    assert group._below(group.unified, 1) == str(inner)


# the kernel's own


@pytest.fixture
def group():
    if os.geteuid() != 0 or not cgroups.hierarchies():
        pytest.skip("needs root and control groups")
    made = cgroups.Group(f"shepherd-test-{os.getpid()}-limits")
    made.make()
    yield made
    made.remove()
    assert not any(os.path.exists(os.path.join(target, made.path)) for target, _kind, _names in made.found)


# where version 2 has what version 1 has in a file of its own
UNIFIED = {
    "memory.limit_in_bytes": "memory.max",
    "memory.memsw.limit_in_bytes": "memory.swap.max",
    "cpu.cfs_quota_us": "cpu.max",
    "cpu.cfs_period_us": "cpu.max",
    "cpu.shares": "cpu.weight",
    "blkio.throttle.read_bps_device": "io.max",
    "memory.oom_control": "memory.max",
}


def files(group, *names):
    found = {}
    for controller, name in names:
        home = group.home(controller)
        if home is None:
            pytest.skip(f"{controller} is not here")
        name = name if home[0] == 1 else UNIFIED.get(name, name)
        found[name] = Path(home[1], name).read_text().strip()
    return found


@pytest.mark.lab
def test_what_depends_on_one_another_is_set_in_any_order(group):
    names = [("memory", "memory.limit_in_bytes"), ("memory", "memory.memsw.limit_in_bytes")]
    names += [("cpu", "cpu.cfs_quota_us"), ("cpu", "cpu.cfs_period_us")]
    mega = 1 << 20
    steps = [(100, 200, 5000, 10000, 4000), (300, 400, 90000, 100000, 80000), (50, 60, 2000, 5000, 1000)]
    for limit, swap, quota, period, burst in steps:
        resources = {
            "memory": {"limit": limit * mega, "swap": swap * mega},
            "cpu": {"quota": quota, "period": period, "burst": burst},
        }
        limits.apply(group, resources, resources)
        numbers = [str(limit * mega), str(swap * mega), str(quota), str(period)]
        if group.home("memory")[0] == 2:
            numbers = [str(limit * mega), str((swap - limit) * mega), f"{quota} {period}"]
        assert list(files(group, *names).values()) == numbers


@pytest.mark.lab
def test_a_change_of_which_a_part_fails_is_none(group):
    first = {"memory": {"limit": 64 << 20}, "cpu": {"shares": 700}, "pids": {"limit": 44}}
    if group.home("cpuset"):  # not every kernel has it
        first["cpu"]["cpus"] = "0"
    device = next(line.split()[:2] for line in Path("/proc/partitions").read_text().splitlines()[2:])
    rate = {"major": int(device[0]), "minor": int(device[1]), "rate": 4096}
    first["blockIO"] = {"throttleReadBpsDevice": [rate]}
    limits.apply(group, first)
    names = [
        ("memory", "memory.limit_in_bytes"),
        ("cpu", "cpu.shares"),
        ("pids", "pids.max"),
        *([("cpuset", "cpuset.cpus")] if group.home("cpuset") else []),
    ]
    names += [("blkio", "blkio.throttle.read_bps_device"), ("memory", "memory.oom_control")]
    before = files(group, *names)
    second = {
        "memory": {"limit": 80 << 20, "disableOOMKiller": group.home("memory")[0] == 1},
        "cpu": {"shares": 300},
        "pids": {"limit": 5},
        "blockIO": {
            "throttleReadBpsDevice": [dict(rate, rate=8192)],
            "throttleWriteBpsDevice": [{"major": 4000, "minor": 9, "rate": 1}],
        },
    }
    with pytest.raises(RuntimeFailure, match=r"/blockIO/throttleWriteBpsDevice/0/rate: .*no such device"):
        limits.apply(group, second, second)
    assert files(group, *names) == before


@pytest.mark.lab
def test_a_write_that_does_nothing_is_no_limit(group):
    """Kernels that count the kernel's memory with the rest still have the file, and take what is written to it."""
    home = group.home("memory")
    if home is None or home[0] != 1 or not Path(home[1], "memory.kmem.limit_in_bytes").exists():
        pytest.skip("this kernel has no such file")
    try:
        limits.apply(group, {"memory": {"kernel": 4 << 20}})
    except RuntimeFailure as error:
        assert error.message.startswith("/linux/resources/memory/kernel: cannot write")
    else:
        assert Path(home[1], "memory.kmem.limit_in_bytes").read_text() == f"{4 << 20}\n"


@pytest.mark.lab
def test_what_the_kernel_refuses_names_the_field(group):
    period = "'1' to cpu.cfs_period_us" if group.home("cpu")[0] == 1 else "'max 1' to cpu.max"
    lacking = "this machine has no control groups with the controller cpuset"
    processors = "cannot write '4000' to cpuset.cpus" if group.home("cpuset") else lacking
    for resources, message in [
        ({"cpu": {"cpus": "4000"}}, f"/linux/resources/cpu/cpus: {processors}"),
        ({"cpu": {"mems": "x"}}, "/linux/resources/cpu/mems: "),
        ({"cpu": {"period": 1}}, f"/linux/resources/cpu/period: cannot write {period}"),
        ({"pids": {"limit": 1 << 62}}, "/linux/resources/pids/limit: "),
        ({"memory": {"useHierarchy": False}}, "/linux/resources/memory/useHierarchy: "),
    ]:
        with pytest.raises(RuntimeFailure) as caught:
            limits.apply(group, resources)
        assert caught.value.message.startswith(message)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give anything away")
@pytest.mark.parametrize("listed", ["cgroup.procs\nabsent\nmemory.oom.group\n", None])
def test_a_group_is_given_with_the_files_that_may_be(tmp_path, monkeypatch, listed):
    """Those that /sys/kernel/cgroup/delegate lists and that are there; on a kernel without that list, three."""
    group = version2(tmp_path)
    folder = Path(group.unified)
    plain = folders.read
    place = tmp_path / "delegate"
    if listed is not None:
        place.write_text(listed)
    monkeypatch.setattr(
        folders, "read", lambda *path: plain(str(place) if "delegate" in path[0] else os.path.join(*path))
    )
    group.give(12345)
    given = {one.name for one in folder.iterdir() if one.stat().st_uid == 12345}
    assert given == ({"cgroup.procs"} if listed is not None else {"cgroup.procs", "cgroup.subtree_control"})
    assert folder.stat().st_uid == 12345
