"""Whose control group is whose: one in use is nobody else's, and ordinary users' and those of networks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import CHECKOUT
from grouped import needs, start

from shepherd.runtime.linux import cgroups

if TYPE_CHECKING:
    from bundles import Bundle

pytestmark = pytest.mark.lab


NOBODY = 65534


# whose group it is


def test_a_group_in_use_is_not_taken(bundle, group):
    """The second container would end with the first."""
    start(bundle, "sleep 1000")
    done = bundle.call("run", "--bundle", str(bundle.folder), "second")
    assert (done.returncode, "/linux/cgroupsPath: the control group" in done.stderr) == (1, True), done.stderr
    assert bundle.state()["status"] == "running"
    assert "second" not in bundle.do("list", "-q")


def test_the_group_of_the_whole_machine_is_nobodys(bundle, group):
    path = bundle.linux["cgroupsPath"]
    for every in ("/", "//", "/."):
        bundle.linux["cgroupsPath"] = every
        done = bundle.shell("true")
        assert (done.returncode, "/linux/cgroupsPath: is the group of the whole" in done.stderr) == (1, True)
    bundle.linux["cgroupsPath"] = path


def test_a_frozen_group_is_not_taken(bundle, group):
    needs(group, "freezer")
    group.make()
    group.freeze()
    try:
        assert "is frozen" in bundle.shell("true").stderr
    finally:
        group.thaw()
        group.remove()


def test_what_a_killed_runtime_left_of_a_group_does_not_matter(bundle, group):
    for target, _kind, _names in group.found:
        (Path(target) / group.path).mkdir(parents=True)  # without processors, and without rules
    assert bundle.output("echo here") == "here\n"
    assert bundle.traces() == []


def test_a_group_below_a_relative_path_is_ours(bundle):
    bundle.linux["cgroupsPath"] = f"test-{os.getpid()}/inner"
    start(bundle, "sleep 1000")
    found = cgroups.Group(f"shepherd/test-{os.getpid()}/inner")
    assert found.processes()
    bundle.do("delete", "--force", "c")
    assert not any(Path(target, "shepherd", f"test-{os.getpid()}").exists() for target, _kind, _names in found.found)


@pytest.fixture
def inside(bundle, group):
    """A container that runs, and a group `jobs` below its own, everywhere."""
    start(bundle, "sleep 1000")
    assert cgroups.Group(f"{group.path}/jobs").make()
    yield group
    bundle.do("delete", "--force", "c")
    assert bundle.traces() == []


def seen(bundle: Bundle, *words: str) -> dict[str, str]:
    """Where below the container's group one more process is, by the controllers of a hierarchy."""
    lines = bundle.do("exec", *words, "c", "cat", "/proc/self/cgroup").splitlines()
    return dict(line.split(":")[1:] for line in lines)  # its namespace of groups begins at its own


def test_one_more_process_in_a_group_below(bundle, inside):
    for words in ([], ["--cgroup", "/"], ["--cgroup", "."]):
        assert set(seen(bundle, *words).values()) == {"/"}
    for place in ("jobs", "/jobs/", "./jobs"):
        assert set(seen(bundle, "--cgroup", place).values()) == {"/jobs"}


def test_one_more_process_in_a_group_of_one_controller(bundle, inside):
    if not any(kind == "cgroup" for _target, kind, _names in inside.found):
        failed = bundle.call("exec", "--cgroup", "pids:jobs", "c", "true")
        assert (failed.returncode, "has no controller 'pids' here" in failed.stderr) == (255, True), failed.stderr
        return
    found = seen(bundle, "--cgroup", "pids,freezer:jobs")
    assert {name for name, path in found.items() if path == "/jobs"} == {"pids", "freezer"}
    found = seen(bundle, "--cgroup", "jobs", "--cgroup", "pids:/")
    assert {name for name, path in found.items() if path == "/"} == {"pids"}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("elsewhere", "there is no control group "),
        ("../jobs", "leads out of the container's control group"),
        ("jobs/../../..", "leads out of the container's control group"),
        ("nonsense:jobs", "has no controller 'nonsense' here"),
    ],
)
def test_a_group_that_is_not_there_takes_no_process(bundle, inside, place, said):
    failed = bundle.call("exec", "--cgroup", place, "c", "true")
    assert (failed.returncode, said in failed.stderr) == (255, True), failed.stderr


def test_a_group_without_processors_is_named(bundle, inside):
    """The kernel says "No space left on device"."""
    version, folder = inside.home("cpuset") or (2, "")
    if version != 1:
        pytest.skip("needs cpuset of version 1, which has nothing at first")
    Path(folder, "bare").mkdir()
    failed = bundle.call("exec", "--cgroup", "cpuset:bare", "c", "true")
    assert (failed.returncode, f"{folder}/bare has no processors" in failed.stderr) == (255, True), failed.stderr


def test_an_ordinary_user_with_a_group_of_its_own(tmp_path):
    """Version 2, as systemd delegates it: the group above the one the user is in is the user's."""
    unified = next((target for target, kind, _names in cgroups.hierarchies() if kind == "cgroup2"), None)
    if os.geteuid() != 0 or unified is None:
        pytest.skip("needs root and version 2 of control groups")
    top = Path(unified, f"shepherd-test-{os.getpid()}-user")
    session = top / "session"
    session.mkdir(parents=True)
    for path in (top, top / "cgroup.procs", top / "cgroup.subtree_control", session, session / "cgroup.procs"):
        os.chown(path, NOBODY, NOBODY)
    program = f"""
import os, sys
sys.path.insert(0, {str(CHECKOUT)!r})
open({str(session / "cgroup.procs")!r}, "w").write("0")
from shepherd.runtime.bundle import groups
from shepherd.runtime.linux import cgroups
from shepherd.runtime.linux.cgroups import freezer, devices, device_program
import resource, signal
os.setgroups([]); os.setresgid({NOBODY}, {NOBODY}, {NOBODY}); os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
path = groups._path("", "c")
assert path == {top.name!r} + "/shepherd/c", path
group = cgroups.Group(path, [one for one in cgroups.hierarchies() if one[1] == "cgroup2"])
child = os.fork()
if child == 0:
    signal.pause()
try:
    group.check_free()
    group.enter(child, {{"devices": [{{"allow": False, "access": "rwm"}}]}})
    assert group.processes() == [child]
    group.freeze(); group.thaw()
    group.end()
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
group.remove()
print(os.path.exists(os.path.join({unified!r}, path)), os.path.exists({str(top / "shepherd")!r}))
"""
    try:
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("False False\n", 0), done.stderr
    finally:
        for folder in (*top.glob("*/*"), *top.glob("*/"), top):
            if folder.is_dir():
                folder.rmdir()


NETWORK = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from shepherd.runtime.linux import cgroups, mounts, syscalls
syscalls.unshare(syscalls.CLONE_NEWNS)
mounts.make_private()
NAMES = ("net_cls", "net_prio")
for name in NAMES:
    os.mkdir(sys.argv[2] + "/" + name)
    syscalls.mount("cgroup", sys.argv[2] + "/" + name, "cgroup", 0, name)
group = cgroups.Group("shepherd-test-network", [one for one in cgroups.hierarchies() if one[0].startswith(sys.argv[2])])
group.make()
try:
    group._limit({"network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 5}]}}, None)
    print(open(sys.argv[2] + "/net_cls/shepherd-test-network/net_cls.classid").read().strip())
    print("lo 5" in open(sys.argv[2] + "/net_prio/shepherd-test-network/net_prio.ifpriomap").read().splitlines())
    try:
        group._limit({"network": {"priorities": [{"name": "absent", "priority": 5}]}}, None)
    except Exception as error:
        print(error)
finally:
    group.remove()
# a hierarchy stays when it is unmounted before the kernel has let go of the last group in it: unmounted again then
deadline = time.monotonic() + 30
while True:
    for name in NAMES:
        syscalls.umount(sys.argv[2] + "/" + name)
    moment = time.monotonic() + 1  # or nothing is left to wait for
    used = True
    while used and time.monotonic() < moment:
        used = any(line.split()[0] in NAMES and line.split()[1] != "0" for line in open("/proc/cgroups"))
    if not used:
        break
    assert time.monotonic() < deadline
    for name in NAMES:
        syscalls.mount("cgroup", sys.argv[2] + "/" + name, "cgroup", 0, name)
"""


def test_network_classes_and_priorities(tmp_path):
    if os.geteuid() != 0 or cgroups.Group("x").home("net_cls"):
        pytest.skip("needs root, and hierarchies that nobody uses")
    if "net_cls" not in Path("/proc/cgroups").read_text() or "net_prio" not in Path("/proc/cgroups").read_text():
        pytest.skip("this kernel has no net_cls and net_prio")
    words = [sys.executable, "-I", "-c", NETWORK, str(CHECKOUT), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    number, priority, refusal = done.stdout.splitlines()
    assert (number, priority) == ("1048577", "True")
    assert refusal.startswith("/linux/resources/network/priorities/0/name: ")
