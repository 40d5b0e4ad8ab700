"""The life of a container (OCI runtime specification 1.2, runtime.md), also where commands race or are killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bundles import CHECKOUT, PROGRAM

from tests import warm
from tests.patience import seconds

pytestmark = pytest.mark.lab


def sleeping(bundle):
    bundle.process["args"] = ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"]


def test_create_start_kill_delete(bundle, tmp_path):
    sleeping(bundle)
    bundle.config["annotations"] = {"org.example/key": "value"}
    bundle.create("c", "--pid-file", str(tmp_path / "pid"))
    found = bundle.state()
    assert found["status"] == "created"
    assert found["id"] == "c"
    assert found["bundle"] == str(bundle.folder)
    assert found["annotations"] == {"org.example/key": "value"}
    assert found["pid"] == int((tmp_path / "pid").read_text())
    assert Path(f"/proc/{found['pid']}/root").stat().st_ino == bundle.rootfs.stat().st_ino
    bundle.do("start", "c")
    assert bundle.state()["status"] == "running"
    assert bundle.call("delete", "c").returncode == 1
    assert bundle.state()["status"] == "running"
    bundle.do("kill", "c", "KILL")
    bundle.wait_for("stopped")
    assert "pid" not in bundle.state() or bundle.state()["pid"] == 0
    bundle.do("delete", "c")
    assert bundle.traces() == []


def test_the_program_waits_for_start(bundle):
    bundle.process["args"] = ["touch", "/tmp/ran"]
    bundle.create()
    (bundle.folder / "config.json").write_text("changed after create: has no effect")
    assert not (bundle.rootfs / "tmp" / "ran").exists()
    bundle.do("start", "c")
    bundle.wait_for("stopped")
    assert (bundle.rootfs / "tmp" / "ran").exists()


def test_what_a_state_does_not_allow(bundle):
    sleeping(bundle)
    bundle.create()
    assert "created" in bundle.call("delete", "c").stderr
    assert "is not paused" in bundle.call("resume", "c").stderr
    bundle.do("start", "c")
    bundle.do("kill", "c", "0")
    assert "cannot be started: it is running" in bundle.call("start", "c").stderr
    bundle.do("kill", "c", "9")
    bundle.wait_for("stopped")
    assert "cannot be started: it is stopped" in bundle.call("start", "c").stderr
    for words in (["kill", "c"], ["kill", "c", "0"]):
        assert "container not running" in bundle.call(*words).stderr  # by which containerd knows it
    assert "stopped" in bundle.call("exec", "c", "true").stderr
    assert "stopped" in bundle.call("pause", "c").stderr


@pytest.mark.parametrize(
    "verb", ["state", "start", "kill", "delete", "pause", "resume", "ps", "exec", "update", "events"]
)
def test_what_does_not_exist(bundle, verb):
    words = [verb, "absent", "true"] if verb == "exec" else [verb, "absent"]
    done = bundle.call(*words)
    code = 255 if verb == "exec" else 1  # its other codes are the command's
    assert (done.returncode, done.stderr) == (code, "shepherd-runtime: container absent does not exist\n")
    done = bundle.call(verb)
    assert done.returncode == code
    assert "usage" in done.stderr


@pytest.mark.parametrize("name", ["../x", "a/b", "-f", "", ".", "..", ".hidden", "x" * 5000, "ü", "a b", "a\nb"])
def test_names_that_are_none(bundle, name):
    bundle.write()
    for words in (
        ["create", "--bundle", str(bundle.folder), "--", name],
        ["state", "--", name],
        ["delete", "-f", "--", name],
    ):
        done = bundle.call(*words)
        assert done.returncode == 1, words
        assert "Traceback" not in done.stderr
    assert bundle.traces() == []


def test_a_name_that_is_taken(bundle):
    sleeping(bundle)
    bundle.create()
    before = bundle.state()
    done = bundle.call("create", "--bundle", str(bundle.folder), "c")
    assert (done.returncode, "container c exists" in done.stderr) == (1, True)
    assert bundle.state() == before


def test_a_bundle_that_is_none(bundle, tmp_path):
    assert "cannot read" in bundle.call("create", "--bundle", str(tmp_path / "absent"), "c").stderr
    for text in ("", "{", "[]", '{"a": 1} x', "nul", '"' + "[" * 100000, "\xff"):
        (bundle.folder / "config.json").write_text(text, encoding="latin-1")
        done = bundle.call("create", "--bundle", str(bundle.folder), "c")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
    assert bundle.traces() == []


def test_signals_reach_the_program(bundle):
    sleeping(bundle)
    bundle.write()
    bundle.names.add("c")
    process = warm.Popen(bundle.argv("run", "--bundle", str(bundle.folder), "c"), stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + seconds(30)
    while "trap" not in " ".join(commands(bundle)):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 3
    assert bundle.traces() == []


def commands(bundle):
    """Command lines of the container's processes; the trap is set by the time there is a second one."""
    pids = bundle.processes()
    if len(pids) < 2:
        return []
    return [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids if os.path.exists(f"/proc/{pid}")]


def test_pause_resume_ps_events_list(bundle):
    sleeping(bundle)
    bundle.create()
    bundle.do("start", "c")
    bundle.do("pause", "c")
    assert bundle.state()["status"] == "paused"
    assert "paused" in bundle.call("exec", "c", "true").stderr
    bundle.do("resume", "c")
    assert bundle.state()["status"] == "running"
    pids = json.loads(bundle.do("ps", "--format", "json", "c"))
    assert bundle.state()["pid"] in pids
    assert "trap" in bundle.do("ps", "c")
    head, *lines = bundle.do("ps", "c", "-e", "-o", "args,pid").splitlines()
    assert head.split() == ["COMMAND", "PID"]
    shown = {int(line.split()[-1]) for line in lines}
    assert bundle.state()["pid"] in shown
    assert not shown & {1, os.getpid()}
    assert "no PID" in bundle.call("ps", "c", "-o", "args").stderr
    found = json.loads(bundle.do("events", "--stats", "c"))
    assert (found["type"], found["id"]) == ("stats", "c")
    assert bundle.do("list", "-q") == "c\n"
    rows = json.loads(bundle.do("list", "--format", "json"))
    assert [(row["id"], row["status"]) for row in rows] == [("c", "running")]
    assert bundle.do("list").splitlines()[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    bundle.do("pause", "c")
    bundle.do("delete", "--force", "c")
    assert bundle.traces() == []


def test_update(bundle):
    sleeping(bundle)
    bundle.create()
    bundle.do("start", "c")
    bundle.do("update", "--pids-limit", "17", "c")
    limits = [Path(group, "pids.max") for group in bundle.groups()]
    assert [one.read_text() for one in limits if one.exists()] == ["17\n"]
    bundle.do("update", "--resources", "-", "c", stdin=None, input='{"pids": {"limit": 19}}')
    assert [one.read_text() for one in limits if one.exists()] == ["19\n"]
    assert "--memory" in bundle.call("update", "--memory", "x", "c").stderr


def test_processes_without_a_namespace_of_their_own_end_too(bundle):
    several(bundle, "wait")
    bundle.do("delete", "--force", "c")
    assert bundle.traces() == []


def several(bundle, last):
    """Three processes of the machine's namespace, of which the first goes on with `last`."""
    bundle.without("pid")
    bundle.process["args"] = ["sh", "-c", f"sleep 1000 & sleep 1000 & {last}"]
    bundle.create()
    bundle.do("start", "c")
    deadline = time.monotonic() + seconds(30)
    while len(bundle.processes()) < 2 + (last == "wait"):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("last", ["wait", "exit"])
def test_sigkill_is_for_all_where_nobody_else_ends_them(bundle, last):
    several(bundle, last)
    if last == "exit":
        bundle.wait_for("stopped")
    bundle.do("kill", "c", "KILL")
    deadline = time.monotonic() + seconds(30)
    while bundle.processes():
        assert time.monotonic() < deadline
    assert "container not running" in bundle.call("kill", "c", "KILL").stderr


# many at once


def test_one_name_many_commands(bundle):
    """Whoever comes first: there is one container or none, and in the end nothing."""
    sleeping(bundle)
    bundle.write()
    bundle.names.add("c")
    verbs = [
        ("create", "--bundle", str(bundle.folder), "c"),
        ("start", "c"),
        ("kill", "c", "KILL"),
        ("delete", "--force", "c"),
        ("state", "c"),
        ("list",),
    ]

    def one(number):
        with open(os.devnull, "w") as null:
            words = verbs[number % len(verbs)]
            done = warm.run(
                bundle.argv(*words), stdin=subprocess.DEVNULL, stdout=null, stderr=subprocess.PIPE, check=False
            ) if words[0] != "create" else warm.run(
                bundle.argv(*words), stdin=subprocess.DEVNULL, stdout=null, stderr=null, check=False
            )  # fmt: skip
        return done.returncode, (done.stderr or b"").decode()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(72)))
    assert all(code in (0, 1) and "Traceback" not in said for code, said in results), results
    bundle.do("delete", "--force", "c")
    assert bundle.traces() == []


def test_many_names_at_once(bundle):
    bundle.write()

    def one(number):
        name = f"c{number}"
        config = json.loads((bundle.folder / "config.json").read_text())
        config["linux"]["cgroupsPath"] += f"/{name}"
        folder = bundle.folder.parent / name
        folder.mkdir()
        config["root"]["path"] = str(bundle.rootfs)
        config["process"]["args"] = ["sh", "-c", f"exit {number}"]
        (folder / "config.json").write_text(json.dumps(config))
        return bundle.call("run", "--bundle", str(folder), name).returncode

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(24))) == list(range(24))
    for group in bundle.groups():
        Path(group).rmdir()
    assert bundle.traces() == []


# killed at any step

KILLED = """
import sys
sys.path.insert(0, %r)
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import create, start, delete
import os, signal
from shepherd.runtime.linux import cgroups, capabilities, seccomp
left, me = int(sys.argv.pop(1)), os.getpid()
def hook(event, arguments):
    global left
    if os.getpid() == me and event != "object.__getattr__":
        left -= 1
        if left == 0:
            os.kill(me, signal.SIGKILL)
sys.addaudithook(hook)
code = oci.main(sys.argv[1:])
sys.stdout.write("%%d" %% left)
sys.stdout.flush()
os._exit(code)
"""


def killed_at(bundle, step, *words):
    """Run a verb and kill it at that step: its exit code, and how many steps were left."""
    argv = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        KILLED % str(CHECKOUT),
        str(step),
        "--root",
        str(bundle.state_folder),
        *words,
    ]
    reader, writer = os.pipe()
    with open(bundle.folder / "output", "wb") as errors:
        process = warm.Popen(argv, stdin=subprocess.DEVNULL, stdout=writer, stderr=errors)
        os.close(writer)
        code = process.wait(60)
    said = os.read(reader, 100) if code == 0 else b""
    os.close(reader)
    return code, int(said or 0)


def ended(bundle):
    """Processes of ours that lost their runtime see it and end."""
    deadline = time.monotonic() + seconds(30)
    while bundle.processes():
        if time.monotonic() > deadline:
            return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", ["create", "start", "delete"])
def test_killed_at_every_step(bundle, verb):
    sleeping(bundle)
    bundle.write()
    bundle.names.add("c")
    words = {
        "create": ["create", "--bundle", str(bundle.folder), "c"],
        "start": ["start", "c"],
        "delete": ["delete", "-f", "c"],
    }
    total = 100000
    if verb != "create":
        bundle.create()
    code, left = killed_at(bundle, total, *words[verb])
    assert code == 0, (bundle.folder / "output").read_text()
    steps = total - left
    assert steps > 5
    bundle.call("delete", "--force", "c")
    for step in range(1, steps + 1, max(1, steps // 40)):
        if verb != "create":
            bundle.create()
        code, _left = killed_at(bundle, step, *words[verb])
        assert code in (-signal.SIGKILL, 0)
        if code:
            found = bundle.call("state", "c")
            if found.returncode == 0:
                assert json.loads(found.stdout)["status"] in ("creating", "created", "running", "stopped")
        bundle.do("delete", "--force", "c")
        assert ended(bundle), step
        assert bundle.traces() == [], f"killed at step {step} of {verb}"


def test_a_runtime_that_is_killed_takes_the_waiting_process_along(bundle):
    """Until `create` has said that it is there, a container is nothing but its runtime's."""
    hook = bundle.folder / "hook"
    hook.write_text("#!/bin/sh\necho $PPID > ${0}.pid; exec sleep 1000\n")
    hook.chmod(0o755)
    bundle.config["hooks"] = {"createRuntime": [{"path": str(hook)}]}
    bundle.write()
    bundle.names.add("c")
    process = warm.Popen(
        bundle.argv("create", "--bundle", str(bundle.folder), "c"), stdin=subprocess.DEVNULL, start_new_session=True
    )
    pid_file = Path(f"{hook}.pid")
    deadline = time.monotonic() + seconds(30)
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
    assert bundle.state()["status"] == "creating"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)  # the hook, which outlives its runtime
    while bundle.state()["status"] == "creating":  # the process sees that nobody is there, and ends
        assert time.monotonic() < deadline
    assert bundle.state()["status"] == "stopped"
    bundle.do("delete", "c")
    assert bundle.traces() == []


def test_messages_go_to_the_log(bundle, tmp_path):
    log = tmp_path / "log"
    argv = bundle.argv()
    words = ["--log", str(log), "--log-format", "json", "state", "absent"]
    assert warm.run([*argv, *words], capture_output=True, check=False).returncode == 1
    said = json.loads(log.read_text())
    assert (said["level"], said["msg"]) == ("error", "container absent does not exist")
    warm.run([*argv, "--log", str(log), "state", "absent"], capture_output=True, check=False)
    assert 'level=error msg="container absent does not exist"' in log.read_text().splitlines()[1]
    assert PROGRAM in argv
