"""Control groups to try things on: trees of files that look like the kernel's, and real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.runtime.linux.cgroups import Group

if TYPE_CHECKING:
    from pathlib import Path

CONTROLLERS = "cpuset cpu io memory hugetlb pids rdma"
VERSION2 = {
    "cgroup.controllers": CONTROLLERS,
    "cgroup.subtree_control": CONTROLLERS,
    "cgroup.procs": "",
    "cgroup.freeze": "0\n",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "memory.current": "4096\n",
    "memory.max": "max\n",
    "memory.low": "0\n",
    "memory.swap.max": "max\n",
    "memory.swap.current": "100\n",
    "memory.peak": "8192\n",
    "memory.stat": "anon 10\nfile 2048\nsock 7\nkernel 9\n",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n",
    "memory.pressure": "some avg10=0.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 total=5\n",
    "cpu.weight": "100\n",
    "cpu.max": "max 100000\n",
    "cpu.max.burst": "0\n",
    "cpu.idle": "0\n",
    "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 2\nthrottled_usec 9\n",
    "cpuset.cpus": "\n",
    "cpuset.mems": "\n",
    "cpuset.cpus.effective": "0-1,3\n",
    "cpuset.mems.effective": "0\n",
    "pids.max": "max\n",
    "pids.current": "3\n",
    "io.weight": "default 100\n",
    "io.max": "",
    "io.stat": "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n",
    "hugetlb.2MB.max": "max\n",
    "hugetlb.2MB.rsvd.max": "max\n",
    "hugetlb.2MB.current": "2097152\n",
    "hugetlb.2MB.events": "max 4\n",
    "rdma.max": "",
    "memory.high": "max\n",
}


def version2(tmp_path: Path, changes: dict[str, str | None] | None = None) -> Group:
    """A group as version 2 has it, with these files in place of the usual ones; None takes one away."""
    folder = tmp_path / "v2" / "shepherd" / "c"
    folder.mkdir(parents=True)
    files = {**VERSION2, **(changes or {})}
    for place in (folder, *folder.parents[:2]):
        for name, text in files.items():
            if text is not None:
                (place / name).write_text(text)
    return Group("shepherd/c", [(str(tmp_path / "v2"), "cgroup2", [])])


def version1(tmp_path: Path, **files: list[str]) -> Group:
    """A group as version 1 has it: controllers and their files, which are empty."""
    found = []
    for controller, names in files.items():
        folder = tmp_path / controller / "c"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text("\n")
        found.append((str(tmp_path / controller), "cgroup", [controller]))
    return Group("c", found)


def said(group: Group, file: str, controller: str | None = None) -> str:
    """What a file says now."""
    from pathlib import Path

    if controller is not None:
        target = next(target for target, _kind, names in group.found if controller in names)
        return Path(target, group.path, file).read_text()
    assert group.unified is not None
    return Path(group.unified, file).read_text()
