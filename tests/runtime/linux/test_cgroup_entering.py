"""How a process comes into its groups on this machine's kernel: born in version 2, gone into version 1 by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from groups import version2

from shepherd.runtime.linux import cgroups

CHECKOUT = Path(__file__).resolve().parents[3]
# In a program of its own, since the tests' process has threads
PROGRAM = """
import _thread, json, os, sys
sys.path.insert(0, sys.argv[1])
from shepherd.runtime.bundle import stage
from shepherd.runtime.linux import cgroups, moves, syscalls

group = cgroups.Group(sys.argv[2])
path = "/" + group.path

def places():
    with open("/proc/self/cgroup") as file:
        return [line.rstrip("\\n").split(":") for line in file]

cradle = group.make_cradle()
ours, theirs = stage.channel()
try:
    pid, born = stage._born(cradle)
    if pid == 0:
        try:
            doors, before = [], places()
            theirs.hear(doors)
            moves.go(doors)
            after = places()
            os.write(1, json.dumps({"before": before, "after": after, "doors": len(doors)}).encode())
        finally:
            os._exit(0)
    doors = moves.open_doors(group.enter(pid, {"pids": {"limit": 7}} if group.home("pids") else {}, born))
    there = group.processes() == ([pid] if cradle is not None else [])
    ours.say(b"go", doors)
    for door in doors:
        os.close(door)
    os.waitpid(pid, 0)
    refused = None
    if born:
        lock = _thread.allocate_lock()
        lock.acquire()
        _thread.start_new_thread(lock.acquire, ())
        try:
            syscalls.fork_into(cradle)
        except OSError as error:
            refused = type(error).__name__
        lock.release()
finally:
    group.remove()
print()
print(json.dumps({"born": born, "there": there, "refused": refused}), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not cgroups.hierarchies(), reason="needs root and control groups")
def test_nobody_is_moved_by_another(tmp_path):
    name = f"shepherd-test-{os.getpid()}-entering"
    argv = [sys.executable, "-I", "-c", PROGRAM, str(CHECKOUT), name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    inside, outside = map(json.loads, done.stdout.splitlines())
    kinds = [kind for _target, kind, _names in cgroups.hierarchies()]
    assert inside["doors"] == kinds.count("cgroup"), "one for each hierarchy of version 1"
    assert all(path == f"/{name}" for _number, _names, path in inside["after"])
    release = tuple(int(word) for word in os.uname().release.split("-")[0].split(".")[:2])
    if "cgroup2" in kinds:
        assert outside["there"]
        assert outside["born"] or release < (5, 7)
    if outside["born"]:
        assert [path for number, _names, path in inside["before"] if number == "0"] == [f"/{name}"]
        assert outside["refused"] == "BlockingIOError", "with a second thread, whose locks nobody would let go"


LATER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from shepherd.runtime.bundle import stage

no_group = os.open("/", os.O_RDONLY)
with stage.BornIn(None) as place:
    pid, born = place.fork(no_group)
    if pid == 0:
        os._exit(40 + os.getpid())
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), born)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_group_that_takes_no_process_spoils_no_namespace():
    """The kernel takes back the first process of a namespace of processes, which then has none for ever."""
    argv = [sys.executable, "-I", "-c", LATER, str(CHECKOUT)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("41 False\n", "")


def test_a_group_with_processes_hands_nothing_down_unless_it_is_the_machines(tmp_path):
    """It would be one of threads, and the groups below it would take no process ("Threads" of cgroup-v2.rst)."""
    group = version2(tmp_path, {"cgroup.subtree_control": ""})
    top, middle = Path(tmp_path, "v2"), Path(tmp_path, "v2/shepherd")
    (middle / "cgroup.type").write_text("domain\n")
    (middle / "cgroup.procs").write_text("7\n")
    (top / "cgroup.procs").write_text("1\n")
    group.make()
    assert (top / "cgroup.subtree_control").read_text() and not (middle / "cgroup.subtree_control").read_text()
    (middle / "cgroup.procs").write_text("")
    group.make()
    assert (middle / "cgroup.subtree_control").read_text()
