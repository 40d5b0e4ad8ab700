"""A container's life by its verbs: run, create, start, ps, logs, stop, kill, rm, wait, inspect, rename, update."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shepherd.runtime.linux import cgroups
from tests.patience import seconds

pytestmark = pytest.mark.lab


LOOP = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"


def test_run_in_the_foreground(runtime):
    done = runtime.run("--rm", "box:1", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert runtime.traces() == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["box:1", "nosuch"], 127, "executable file not found"),
        (["box:1", "/nosuch/program"], 127, "no such file"),
        (["box:1", "/etc/passwd"], 126, "may not be executed"),
        (["box:1", "/etc"], 126, "is a folder"),
        (["--memory", "much", "box:1"], 125, "--memory: should be a size"),
        (["--pull", "never", "nosuch:1"], 125, "no such image: nosuch:1"),
        (["--nonsense", "box:1"], 125, "--nonsense: no such option"),
        (["-u", "nobody-here", "box:1", "true"], 125, "has no user"),
        (["--cap-add", "CAP_FLY", "box:1", "true"], 125, "there is no capability CAP_FLY"),
        (["--name", "../x", "box:1", "true"], 125, "is no name of a container"),
        (["--restart", "sometimes", "box:1", "true"], 125, "--restart: should be one of"),
        (["--rm", "--restart", "always", "box:1", "true"], 125, "exclude one another"),
        (["-v", "/nosuch:relative", "box:1", "true"], 125, "absolute path"),
        (["--mount", "type=bind,source=/nosuch,destination=/x", "box:1", "true"], 125, "no such file or folder"),
        (["--log-driver", "syslog", "box:1", "true"], 125, "--log-driver"),
        (["--security-opt", "magic", "box:1", "true"], 125, "--security-opt"),
        (
            ["--device-read-bps", "5mb", "box:1", "true"],
            125,
            "--device-read-bps: should be /dev/NAME:RATE, and is '5mb'",
        ),
        (["--device-read-iops", "/dev/x:-1", "box:1", "true"], 125, "--device-read-iops: should be /dev/NAME:RATE"),
        (["--device-write-iops", "/dev/x:5k", "box:1", "true"], 125, "--device-write-iops: should be a whole number"),
        (
            ["--device-write-bps", "/dev/nosuch:1m", "box:1", "true"],
            125,
            "--device-write-bps /dev/nosuch: No such file",
        ),
        (
            ["--device-write-bps", "/dev/null:1m", "box:1", "true"],
            125,
            "--device-write-bps /dev/null: is no block device",
        ),
    ],
)
def test_what_cannot_be_run(runtime, words, code, said):
    done = runtime.run(*words)
    assert done.returncode == code, done
    assert said in done.stderr
    runtime.do("container", "prune", "-f")
    assert runtime.traces() == []


def test_from_create_to_rm(runtime):
    identity = runtime.do(
        "create", "--network", "none", "--name", "web", "-e", "B=2", "box:1", "sh", "-c", LOOP
    ).strip()
    assert len(identity) == 64
    assert runtime.status("web") == "created"
    assert runtime.do("ps").count("\n") == 1
    assert runtime.do("start", "web") == "web\n"
    assert runtime.do("start", "web") == "web\n"  # it runs already
    about = runtime.inspect("web")
    assert about["State"]["Status"] == "running" and about["State"]["Running"]
    assert about["Name"] == "/web" and about["Path"] == "sh" and about["Args"] == ["-c", LOOP]
    assert about["Config"]["Env"] == ["PATH=/bin", "A=image", "B=2"]
    assert os.path.exists(f"/proc/{about['State']['Pid']}")
    assert runtime.do("exec", identity[:12], "sh", "-c", "echo $A$B$HOSTNAME") == f"image2{identity[:12]}\n"
    assert "cannot be removed: it is running" in runtime.call("rm", "web").stderr
    runtime.until(lambda: runtime.do("logs", "web") == "up\n")
    assert runtime.do("stop", "web") == "web\n"
    assert runtime.do("logs", "web") == "up\nbye\n"
    state = runtime.inspect("web")["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"], state["OOMKilled"]) == ("exited", 3, 0, False)
    assert state["StartedAt"] < state["FinishedAt"]
    assert runtime.do("wait", "web") == "3\n"
    assert runtime.do("start", "web") == "web\n"  # again, with what it had written
    assert runtime.do("kill", "web") == "web\n"
    assert runtime.status("web") == "exited"  # it is over when the command is
    assert runtime.do("wait", "web") == "137\n"
    assert runtime.do("rm", "web") == "web\n"
    assert runtime.traces() == []
    assert "no such container: web" in runtime.call("inspect", "--type", "container", "web").stderr.replace(
        "object", "container"
    )


def test_several_are_killed_side_by_side(runtime):
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        runtime.start(name, "box:1", "sleep", "1000")
    done = runtime.call("kill", *names[:3], "absent", *names[3:])
    assert (done.returncode, done.stdout.split()) == (1, names)
    assert "no such container: absent" in done.stderr
    assert set(map(runtime.status, names)) == {"exited"}


def test_stop_waits_for_its_grace_and_then_kills(runtime):
    runtime.start("deaf", "box:1", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    runtime.until(lambda: runtime.do("logs", "deaf"))
    runtime.do("stop", "-t", "1", "deaf")
    assert runtime.inspect("deaf")["State"]["ExitCode"] == 137


def test_its_own_stop_signal(runtime):
    runtime.start(
        "own", "--stop-signal", "USR1", "box:1", "sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"
    )
    runtime.until(lambda: runtime.do("logs", "own"))
    runtime.do("stop", "own")
    assert runtime.inspect("own")["State"]["ExitCode"] == 9


def test_signals_reach_it_through_the_foreground(runtime):
    process = runtime.popen("run", "--rm", "--network", "none", "box:1", "sh", "-c", LOOP)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=seconds(30)) == ("bye\n", "")
    assert process.returncode == 3
    assert runtime.traces() == []


def test_input_and_output_of_any_size(runtime):
    text = "".join(f"line {number}\n" for number in range(200000))
    assert runtime.output("-i", "box:1", "cat", input=text) == text


def test_prune_takes_one_whose_monitor_is_about_to_end(runtime):
    """It has ended all the same: its monitor's last moments are waited for. Another process has the monitor's lock."""
    identity = runtime.do("create", "box:1", "true").strip()
    script = (
        "import fcntl, sys, time\nfile = open(sys.argv[1], 'w')\nfcntl.lockf(file, fcntl.LOCK_EX)\nprint(flush=True)\n"
    )
    path = str(runtime.root / "containers" / identity / "monitor")
    late = subprocess.Popen([sys.executable, "-c", script + "time.sleep(0.5)", path], stdout=subprocess.PIPE)
    late.stdout.readline()
    assert runtime.monitor(identity) == late.pid
    assert identity in runtime.do("container", "prune", "-f")
    assert runtime.traces() == []
    assert late.wait(seconds(30)) == 0


def test_a_reader_that_is_slow_gets_everything(runtime):
    """What it does not read stays in the container's pipe, not in the monitor."""
    process = runtime.popen("run", "--rm", "--network", "none", "--log-driver", "none", "box:1", "seq", "500000")
    first = process.stdout.read(10)
    runtime.until(lambda: runtime.do("ps", "-q"))
    rest = process.stdout.read()
    process.communicate(timeout=seconds(60))
    assert first + rest == "".join(f"{number}\n" for number in range(1, 500001))


def test_names(runtime):
    runtime.start("one", "box:1", "sleep", "100")
    taken = runtime.run("--name", "one", "box:1", "true")
    assert taken.returncode == 125 and "the name one is in use by the container" in taken.stderr
    runtime.do("rename", "one", "two")
    assert runtime.status("two") == "running"
    assert runtime.call("inspect", "one").returncode == 1
    runtime.start("one", "box:1", "sleep", "100")
    assert "in use" in runtime.call("rename", "one", "two").stderr
    names = runtime.do("ps", "--format", "{{.Names}}").split()
    assert sorted(names) == ["one", "two"]
    assert runtime.do("rm", "-f", "one", "two", "three") == "one\ntwo\n"
    assert runtime.traces() == []


def test_ps_filters_and_formats(runtime):
    runtime.start("up", "--label", "tier=web", "box:1", "sleep", "100")
    runtime.run("--name", "down", "--label", "tier=db", "box:1", "false")
    rows = [json.loads(line) for line in runtime.do("ps", "-a", "--format", "json").splitlines()]
    assert [(row["Names"], row["State"], row["Image"]) for row in rows] == [
        ("down", "exited", "box:1"),
        ("up", "running", "box:1"),
    ]
    assert rows[0]["Status"].startswith("Exited (1) ") and rows[1]["Status"].startswith("Up ")
    for words, names in (
        (["-f", "label=tier=web"], ["up"]),
        (["-a", "-f", "label=tier"], ["down", "up"]),
        (["-a", "-f", "status=exited"], ["down"]),
        (["-a", "-f", "exited=1"], ["down"]),
        (["-a", "-f", "name=ow"], ["down"]),
        (["-a", "-f", "since=up"], ["down"]),
        (["-a", "-f", "before=down"], ["up"]),
        (["-a", "-f", "ancestor=box:1", "-n", "1"], ["down"]),
        (["-l"], ["down"]),
    ):
        assert runtime.do("ps", *words, "--format", "{{.Names}}").split() == names, words
    assert runtime.do("ps", "--format", "table {{.Names}}\t{{.State}}") == "NAMES   STATE\nup      running\n"
    assert "no --filter" not in runtime.call("ps", "-f", "x=y").stderr
    assert runtime.call("ps", "-f", "x=y").returncode == 1


def test_restart_policies(runtime):
    runtime.start("always", "--restart", "always", "box:1", "sh", "-c", "echo run; exit 2")
    runtime.start("failing", "--restart", "on-failure:2", "box:1", "sh", "-c", "echo run; exit 2")
    runtime.start("good", "--restart", "on-failure", "box:1", "true")
    runtime.until(lambda: runtime.status("failing") == "exited")
    about = runtime.inspect("failing")
    assert (about["RestartCount"], about["State"]["ExitCode"]) == (2, 2)
    assert runtime.do("logs", "failing") == "run\n" * 3
    runtime.until(lambda: runtime.inspect("always")["RestartCount"] >= 3)
    assert runtime.inspect("always")["State"]["Running"]
    runtime.do("stop", "always")
    assert runtime.status("always") == "exited"
    runtime.until(lambda: runtime.monitor("always") == 0)
    runtime.until(lambda: runtime.status("good") == "exited")
    assert runtime.inspect("good")["RestartCount"] == 0


def test_update(runtime):
    runtime.start("one", "--restart", "always", "box:1", "sh", "-c", "while :; do sleep 0.05; done")
    runtime.do("update", "--restart", "no", "--memory", "128m", "--pids-limit", "77", "one")
    about = runtime.inspect("one")["HostConfig"]
    assert (about["RestartPolicy"]["Name"], about["Memory"], about["PidsLimit"]) == ("no", 128 << 20, 77)
    os.kill(runtime.inspect("one")["State"]["Pid"], signal.SIGKILL)
    assert runtime.do("wait", "one") == "137\n"
    runtime.until(lambda: runtime.status("one") == "exited" and not runtime.monitor("one"))
    assert "nothing was said" in runtime.call("update", "one").stderr


def test_block_devices_have_rates(runtime):
    major, minor, _blocks, name = Path("/proc/partitions").read_text().splitlines()[2].split()
    words = ("--device-read-bps", f"/dev/{name}:5mb", "--device-write-iops", f"/dev/{name}:70")
    runtime.start("one", *words, "box:1", "sleep", "1000")
    assert runtime.inspect("one")["HostConfig"]["BlkioDeviceReadBps"] == [{"Path": f"/dev/{name}", "Rate": 5 << 20}]
    groups = Path(f"/proc/{runtime.inspect('one')['State']['Pid']}/cgroup").read_text().splitlines()
    names = {
        controller: name
        for _number, controllers, name in (one.split(":", 2) for one in groups)
        for controller in controllers.split(",")
    }
    home = cgroups.Group(names.get("blkio", names.get("", "")).strip("/")).home("blkio")
    if home is None:
        pytest.skip("this machine has no control groups with the controller blkio")
    version, folder = home
    if version == 2:
        assert Path(folder, "io.max").read_text() == f"{major}:{minor} rbps={5 << 20} wbps=max riops=max wiops=70\n"
    else:
        rates = [Path(folder, f"blkio.throttle.{one}_device").read_text() for one in ("read_bps", "write_iops")]
        assert rates == [f"{major}:{minor} {5 << 20}\n", f"{major}:{minor} 70\n"]


def test_pause(runtime):
    runtime.start("one", "box:1", "sh", "-c", "while :; do date +%N; sleep 0.01; done")
    runtime.do("pause", "one")
    assert runtime.status("one") == "paused"
    assert "(Paused)" in runtime.do("ps")
    before = runtime.do("logs", "one")
    assert runtime.do("logs", "one") == before
    assert (
        "it is paused" in runtime.call("exec", "one", "true").stderr or runtime.call("exec", "one", "true").returncode
    )
    runtime.do("unpause", "one")
    assert runtime.status("one") == "running"
    runtime.until(lambda: runtime.do("logs", "one") != before)
    runtime.do("pause", "one")
    runtime.do("stop", "-t", "1", "one")  # a paused one can be stopped
    assert runtime.status("one") == "exited"


def test_restart(runtime):
    runtime.start("one", "box:1", "sh", "-c", LOOP)
    runtime.until(lambda: runtime.do("logs", "one"))
    before = runtime.inspect("one")["State"]["Pid"]
    runtime.do("restart", "one")
    assert runtime.inspect("one")["State"]["Pid"] not in (0, before)
    runtime.until(lambda: runtime.do("logs", "one") == "up\nbye\nup\n")


def test_wait_for_one_that_runs(runtime):
    runtime.start("one", "box:1", "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
    runtime.until(lambda: runtime.do("logs", "one"))
    process = runtime.popen("wait", "one")
    runtime.do("kill", "-s", "TERM", "one")
    assert process.communicate(timeout=seconds(30))[0] == "5\n"


def test_attach(runtime):
    runtime.start("one", "-i", "box:1", "sh", "-c", "read line; echo got $line; echo err >&2; exit 4")
    done = runtime.call("attach", "one", input="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (4, "got hello\n", "err\n")


def test_start_attached(runtime):
    runtime.do("create", "--network", "none", "--name", "one", "-i", "box:1", "cat")
    assert runtime.call("start", "-ai", "one", input="text").stdout == "text"


def test_events(runtime):
    runtime.run("--name", "one", "--rm", "box:1", "true")
    runtime.run("--name", "two", "box:1", "false")
    lines = [
        json.loads(line)
        for line in runtime.do("events", "--since", "1h", "--until", "0s", "--format", "json").splitlines()
    ]
    found = [(one["Action"], one["Actor"]["Attributes"]["name"]) for one in lines]
    assert found == [
        ("create", "one"),
        ("start", "one"),
        ("die", "one"),
        ("destroy", "one"),
        ("create", "two"),
        ("start", "two"),
        ("die", "two"),
    ]
    assert lines[-1]["Actor"]["Attributes"]["exitCode"] == "1"
    shown = runtime.do("events", "--since", "1h", "--until", "0s", "-f", "event=die", "-f", "container=two")
    assert shown.count("\n") == 1 and " container die " in shown
    process = runtime.popen("events", "--format", "{{.Action}}")
    deleted = []
    runtime.until(lambda: runtime.do("rm", "-f", "two") == "two\n" or True)
    while "create" not in deleted:
        runtime.run("--rm", "box:1", "true")
        deleted.append(process.stdout.readline().strip())
    process.terminate()
    process.communicate()


def test_cidfile_and_environment(runtime, tmp_path):
    (tmp_path / "env").write_text("# comment\nFROM_FILE=1\nA=file\nHERE\nNOT_HERE\n")
    runtime.environment["HERE"] = "yes"
    text = runtime.output(
        "--cidfile",
        str(tmp_path / "cid"),
        "--env-file",
        str(tmp_path / "env"),
        "-e",
        "B=2",
        "-eC=3",
        "--env=PATH=/bin:/x",
        "box:1",
        "env",
    )
    found = dict(line.partition("=")[::2] for line in text.splitlines())
    assert {name: found.get(name) for name in ("FROM_FILE", "A", "HERE", "NOT_HERE", "B", "C", "PATH")} == {
        "FROM_FILE": "1",
        "A": "file",
        "HERE": "yes",
        "NOT_HERE": None,
        "B": "2",
        "C": "3",
        "PATH": "/bin:/x",
    }
    assert len((tmp_path / "cid").read_text()) == 64
    assert "is there already" in runtime.run("--cidfile", str(tmp_path / "cid"), "box:1", "true").stderr
