"""Hooks: when, where and with what they run (runtime.md, "Lifecycle"; config.md, "POSIX-platform Hooks")."""

from __future__ import annotations

import json
import os

import pytest

pytestmark = pytest.mark.lab

NAMES = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def record(bundle, name, text=""):
    """A hook that writes its name, its state and its namespaces to a file."""
    log = bundle.folder / "log"
    script = bundle.folder / f"hook-{name}"
    where = "/log" if name == "startContainer" else str(log)
    script.write_text(
        f"#!/bin/sh\nread state\nmount=$(readlink /proc/self/ns/mnt) pid=$(readlink /proc/self/ns/pid)\n"
        f'echo "{name} $mount $pid $A $1 $state" >> {where}\n{text}\n'
    )
    script.chmod(0o755)
    log.touch()
    path = str(script)
    if name == "startContainer":  # this one is a program of the container's
        inside = bundle.rootfs / "hook"
        inside.write_text(script.read_text())
        inside.chmod(0o755)
        path = "/hook"
        if not any(one["destination"] == "/log" for one in bundle.config["mounts"]):
            bundle.mount("/log", str(log), "bind")
    return {"path": path, "args": ["hook", "argument"], "env": ["A=b", "PATH=/bin:/usr/bin"]}


def entries(bundle):
    found = []
    for line in (bundle.folder / "log").read_text().splitlines():
        name, mount, pid, variable, argument, state = line.split(" ", 5)
        found.append((name, mount, pid, variable, argument, json.loads(state)))
    return found


def test_all_hooks(bundle):
    bundle.config["hooks"] = {name: [record(bundle, name)] for name in NAMES}
    bundle.process["args"] = ["sleep", "1000"]
    bundle.create()
    assert [one[0] for one in entries(bundle)] == NAMES[:3]
    bundle.do("start", "c")
    bundle.do("kill", "c", "KILL")
    bundle.wait_for("stopped")
    assert [one[0] for one in entries(bundle)] == NAMES[:5]
    bundle.do("delete", "c")
    found = entries(bundle)
    assert [one[0] for one in found] == NAMES
    mount, pid = os.readlink("/proc/self/ns/mnt"), os.readlink("/proc/self/ns/pid")
    assert [one[1] == mount for one in found] == [True, True, False, False, True, True]
    assert [one[2] == pid for one in found] == [True, True, False, False, True, True]
    assert {(one[3], one[4]) for one in found} == {("b", "argument")}
    states = [one[5] for one in found]
    assert {(one["id"], one["bundle"]) for one in states} == {("c", str(bundle.folder))}
    assert [one["status"] for one in states] == ["creating"] * 3 + ["created", "running", "stopped"]
    assert states[0]["pid"] == states[1]["pid"] == states[4]["pid"] > 1
    assert states[2]["pid"] == states[3]["pid"] == 1  # as it is seen inside


@pytest.mark.parametrize("name", NAMES[:4])
def test_a_hook_that_fails_ends_it(bundle, name):
    bundle.config["hooks"] = {name: [record(bundle, name, "exit 3")], "poststop": [record(bundle, "poststop")]}
    bundle.process["args"] = ["touch", "/tmp/ran"]
    bundle.write()
    bundle.names.add("c")
    done = bundle.call("run", "--bundle", str(bundle.folder), "c")
    assert done.returncode == 1
    assert f"/hooks/{name}/0" in done.stderr
    assert "exit code 3" in done.stderr
    assert not (bundle.rootfs / "tmp" / "ran").exists()
    assert [one[0] for one in entries(bundle)] == [name, "poststop"]
    assert entries(bundle)[1][5]["status"] == "stopped"
    assert bundle.traces() == []


def test_a_hook_that_fails_at_start_ends_the_container_and_takes_it_away(bundle):
    name = "startContainer"
    bundle.config["hooks"] = {name: [record(bundle, name, "exit 3")], "poststop": [record(bundle, "poststop")]}
    bundle.process["args"] = ["sleep", "1000"]
    bundle.create()
    done = bundle.call("start", "c")
    assert (done.returncode, f"/hooks/{name}/0" in done.stderr) == (1, True)
    assert [one[0] for one in entries(bundle)] == [name, "poststop"]
    assert entries(bundle)[1][5]["status"] == "stopped"
    assert "does not exist" in bundle.call("delete", "c").stderr
    assert bundle.traces() == []


@pytest.mark.parametrize("apart", [True, False], ids=["create and start", "run"])
def test_a_failed_poststart_hook_is_told_and_the_others_run(bundle, apart):
    bundle.config["hooks"] = {
        "poststart": [record(bundle, "poststart", f"echo >> {bundle.rootfs}/tmp/told; exit 3")] * 2
    }
    bundle.process["args"] = ["sh", "-c", 'until [ "$(cat /tmp/told | wc -l)" = 2 ]; do sleep 0.01; done; exit 7']
    if apart:
        bundle.create()
        done = bundle.call("start", "c")
        bundle.wait_for("stopped")
    else:
        bundle.write()
        done = bundle.call("run", "--bundle", str(bundle.folder), "c")
    assert done.returncode == (0 if apart else 7)
    assert all(f"/hooks/poststart/{number}" in done.stderr for number in (0, 1))
    assert [one[5]["status"] for one in entries(bundle)] == ["running", "running"]


def test_a_failed_poststop_hook_is_told_and_the_others_run(bundle):
    bundle.config["hooks"] = {"poststop": [record(bundle, "poststop", "exit 3"), record(bundle, "poststop", "exit 3")]}
    bundle.create()
    bundle.do("start", "c")
    bundle.wait_for("stopped")
    done = bundle.call("delete", "c")
    assert done.returncode == 0
    assert "/hooks/poststop/0" in done.stderr
    assert len(entries(bundle)) == 2
    assert bundle.traces() == []


def test_a_hook_in_the_container_has_its_variables_where_it_says_none(bundle):
    hook = record(bundle, "startContainer", 'echo "$MINE" >> /log')
    del hook["env"]
    bundle.config["hooks"] = {"startContainer": [hook]}
    bundle.process["env"] = ["PATH=/bin", "MINE=of the container"]
    assert bundle.shell("true").returncode == 0
    assert (bundle.folder / "log").read_text().splitlines()[-1] == "of the container"


def test_a_hook_that_takes_too_long(bundle):
    bundle.config["hooks"] = {"createRuntime": [dict(record(bundle, "createRuntime", "exec sleep 1000"), timeout=1)]}
    assert "did not end in 1 s" in bundle.refusal()


def test_a_hook_that_does_not_read(bundle):
    bundle.config["hooks"] = {"prestart": [{"path": "/bin/true"}]}
    bundle.config["annotations"] = {str(number): "x" * 1000 for number in range(150)}
    assert bundle.shell("true").returncode == 0


def test_a_hook_that_is_not_there(bundle):
    bundle.config["hooks"] = {"prestart": [{"path": "/absent"}]}
    assert "/hooks/prestart/0" in bundle.refusal()
