"""Monitors: logs, health, and what becomes of containers whose monitor, or whose machine, goes away."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from containers import CHECKOUT, UP, up

from shepherd.runtime.errors import RuntimeFailure
from tests.patience import seconds

pytestmark = pytest.mark.lab


# A monitor is killed


def test_a_container_gets_another_monitor(runtime):
    pid = up(runtime)
    runtime.kill_monitor("one")
    assert os.path.exists(f"/proc/{pid}")
    assert "Up " in runtime.do("ps")
    assert runtime.monitor("one") and runtime.inspect("one")["State"]["Pid"] == pid
    runtime.do("stop", "one")
    state = runtime.inspect("one")["State"]
    assert state["Status"] == "exited"
    assert state["ExitCode"] == 3 or (state["ExitCode"] == 255 and "not known" in state["Error"])  # Linux 6.15 tells


def test_what_it_says_meanwhile_is_not_lost(runtime):
    up(runtime, script="echo up; while ! test -e /tmp/go; do sleep 0.02; done; seq 1000; touch /tmp/done; sleep 100")
    runtime.kill_monitor("one")
    pid = runtime_pid(runtime, "one")
    Path(f"/proc/{pid}/root/tmp/go").touch()
    runtime.until(lambda: os.path.exists(f"/proc/{pid}/root/tmp/done"))
    assert runtime.do("ps", "-q")
    runtime.until(lambda: runtime.do("logs", "one") == "up\n" + "".join(f"{number}\n" for number in range(1, 1001)))


def runtime_pid(runtime, name):
    from shepherd.runtime.containers.folders import Folders
    from shepherd.runtime.containers.record import find

    return find(Folders(str(runtime.root), str(runtime.state)), name).state()["Pid"]


def test_one_that_ended_meanwhile_is_reported_and_started_again(runtime):
    up(runtime, "plain")
    up(runtime, "always", "--restart", "always")
    for name in ("plain", "always"):
        runtime.kill_monitor(name)
        os.kill(runtime_pid(runtime, name), signal.SIGKILL)
    runtime.until(lambda: "Exited (255)" in runtime.do("ps", "-a", "-f", "name=plain"))
    assert "not known" in runtime.inspect("plain")["State"]["Error"]
    runtime.until(lambda: "Up " in runtime.do("ps", "-f", "name=always"))
    assert runtime.do("exec", "always", "echo", "fine") == "fine\n"


def test_one_that_is_started_again_has_its_monitor_before_another_can_see_that_it_has_none(runtime):
    """Else the second command recovers it once more, and takes away the socket of the first one's monitor."""
    script = (
        "import sys; from shepherd.runtime.containers import recovery; from shepherd.runtime.containers.folders import"
        " Folders; from shepherd.runtime.containers.record import find; found = find(Folders(*sys.argv[1:3]), 'one')\n"
        "with found:\n recovery.recover(found)\n print(found.monitor())"
    )
    pid = up(runtime, "one", "--restart", "always")
    runtime.kill_monitor("one")
    os.kill(pid, signal.SIGKILL)
    words = [sys.executable, "-c", script, str(runtime.root), str(runtime.state)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert int(done.stdout) == runtime.monitor("one") != 0
    runtime.until(lambda: "Up " in runtime.do("ps", "-f", "name=one"))
    assert runtime.inspect("one")["RestartCount"] == 1


@pytest.mark.parametrize(
    "verb", ["logs", "inspect", "exec", "stop", "kill", "restart", "rm", "attach", "wait", "start", "pause", "stats"]
)
def test_every_verb_notices(runtime, verb):
    up(runtime, "one", "--health-cmd", "true")
    runtime.kill_monitor("one")
    more = {"exec": ["true"], "rm": ["-f"], "stats": ["--no-stream"]}.get(verb, [])
    words = [verb, "one", *more] if verb == "exec" else [verb, *more, "one"]
    if verb in ("attach", "wait"):
        process = runtime.popen(*words)
        runtime.until(lambda: runtime.monitor("one"))
        runtime.do("stop", "one")
        process.communicate(timeout=seconds(30))
        return
    runtime.do(*words)
    if verb in ("logs", "inspect", "exec", "stats", "restart", "start", "pause"):
        runtime.until(lambda: runtime.do("ps", "-q") and runtime.monitor("one"))
    elif verb != "rm":
        runtime.until(lambda: runtime.status("one") == "exited")


def test_a_foreground_run_goes_on_under_the_next_monitor(runtime):
    process = runtime.popen("run", "--name", "one", "--network", "none", "box:1", "sh", "-c", UP)
    assert process.stdout.readline() == "up\n"
    runtime.kill_monitor("one")
    runtime.until(lambda: runtime.monitor("one"))
    runtime.do("stop", "one")
    process.communicate(timeout=seconds(30))
    assert process.returncode in (3, 255)


def test_a_monitor_is_killed_again_and_again(runtime):
    """At any moment of a start: after that every container is there or not, and a verb brings it back."""
    for round_ in range(12):
        process = runtime.popen(
            "run", "-d", "--network", "none", "--name", f"c{round_}", "--restart", "always", "box:1", "sleep", "1000"
        )
        deadline = time.monotonic() + 0.02 * round_
        while time.monotonic() < deadline or not runtime.root.joinpath("containers/names", f"c{round_}").is_symlink():
            if process.poll() is not None:
                break
        try:
            pid = runtime.monitor(f"c{round_}")
            if pid:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended
        except RuntimeFailure as error:
            assert "no such container" in error.message  # it is not there yet
        process.communicate(timeout=seconds(60))
    runtime.do("ps", "-a")
    names = runtime.do("ps", "-a", "--format", "{{.Names}}").split()
    for name in names:
        runtime.do("start", name)
        assert runtime.do("exec", name, "echo", "fine") == "fine\n"
    runtime.do("rm", "-f", *names)
    assert runtime.traces() == []
    assert runtime.ours() == []


def test_every_process_of_ours_is_killed_at_some_step(runtime):
    """`run --rm` with all it started, killed after ever more time: what is left goes with `ps`, `rm` and `prune`."""
    for step in range(0, 200, 12):
        process = runtime.popen("run", "--rm", "--network", "none", "box:1", "true", start_new_session=True)
        time.sleep(step / 1000)
        with contextlib.suppress(ProcessLookupError):  # it has come to its end
            os.killpg(process.pid, signal.SIGKILL)
        for pid in runtime.ours():
            try:
                if b"monitor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, FileNotFoundError):
                continue
        process.communicate()
    runtime.do("ps", "-a")
    runtime.do("container", "prune", "-f")
    for name in runtime.do("ps", "-aq").split():
        runtime.do("rm", "-f", name)
    # what is killed may take a moment to end, and is not swept before
    runtime.until(lambda: runtime.do("container", "prune", "-f") and runtime.traces() == [], runtime.traces())
    runtime.until(lambda: runtime.ours() == [])


def test_the_machine_went_down(runtime):
    """The state of another boot: what ran does not any more, and `boot` starts what should."""
    for name, policy in (
        ("no", "no"),
        ("always", "always"),
        ("unless", "unless-stopped"),
        ("stopped", "unless-stopped"),
        ("failed", "on-failure"),
    ):
        up(runtime, name, "--restart", policy)
    runtime.do("stop", "stopped")
    for name in ("no", "always", "unless", "failed"):
        pid = runtime_pid(runtime, name)
        runtime.kill_monitor(name)
        os.kill(pid, signal.SIGKILL)
        runtime.until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
    for path in runtime.root.glob("containers/*/state.json"):
        state = json.loads(path.read_text())
        path.write_text(json.dumps(dict(state, Boot="another")))
    runtime.do("boot")
    rows = dict(line.split() for line in runtime.do("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines())
    assert rows == {"no": "exited", "always": "running", "unless": "running", "stopped": "exited", "failed": "running"}
    runtime.do("boot", "stop")
    assert runtime.do("ps", "-q") == ""
    runtime.do("boot")
    assert sorted(runtime.do("ps", "--format", "{{.Names}}").split()) == ["always", "unless"]


def test_what_starts_with_the_machine(tmp_path):
    from shepherd.runtime.containers import boot
    from shepherd.runtime.containers.folders import Folders

    folders = Folders("/var/lib/shepherd", "/run/shepherd")
    with pytest.raises(RuntimeFailure, match="neither systemd nor cron"):
        boot.install(folders, str(tmp_path))
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/cron").touch()
    path = boot.install(folders, str(tmp_path))
    assert "@reboot root " in Path(path).read_text() and Path(path).read_text().endswith(" boot\n")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    unit = Path(boot.install(folders, str(tmp_path))).read_text()
    assert "WantedBy=multi-user.target" in unit and '"boot"\n' in unit and "%" not in unit.replace("%%", "")
    assert len(boot.remove(str(tmp_path))) == 2


def stop_all(runtime, group):
    """Stop the processes of a group and the monitors, which are in none: the latter's pids."""
    os.killpg(group, signal.SIGSTOP)
    stopped = set()
    while True:
        more = {pid for pid in runtime.ours() if pid not in stopped}
        if not more:
            return stopped
        for pid in more:
            signal_if_there(pid, signal.SIGSTOP)
        stopped |= more


def signal_if_there(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def test_a_power_cut_at_any_moment(runtime, tmp_path):
    """The root is copied again and again while containers come and go: each copy has whole containers or none."""
    script = (
        'while :; do "$@" --name one box:1 true; "$@" --rm box:1 true; "$@" -d --name two -v vol:/data box:1 sleep 9; '
    )
    script += shlex.join(runtime.argv("rm", "-fv", "one", "two")) + "; done"
    nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    words = ["sh", "-c", script, "sh", *runtime.argv("run", "--network", "none")]
    process = subprocess.Popen(words, env=runtime.environment, start_new_session=True, **nothing)
    copies = []
    try:
        for number in range(15):
            time.sleep(0.15)
            copies.append(tmp_path / f"copy{number}")
            stopped = stop_all(runtime, process.pid)  # all of it is copied as it is at one moment
            subprocess.run(["cp", "-a", str(runtime.root), str(copies[-1])], check=True)
            for pid in stopped:
                signal_if_there(pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGCONT)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    runtime.do("rm", "-fv", *runtime.do("ps", "-aq").split(), "one")
    before = dict(runtime.environment)
    found = 0
    for copy in copies:
        runtime.environment.update(SHEPHERD_RUNTIME_ROOT=str(copy), SHEPHERD_RUNTIME_STATE=str(copy) + "-state")
        for path in copy.glob("containers/*/state.json"):
            state = json.loads(path.read_text())
            path.write_text(json.dumps(dict(state, Boot="before")))
        runtime.do("boot")
        names = runtime.do("ps", "-a", "--format", "{{.Names}}").split()
        found += len(names)
        for name in names:
            if name in ("one", "two"):
                runtime.do("start", name)
            runtime.do("rm", "-fv", name)
        assert [one for one in copy.glob("containers/*") if one.name not in ("names", "lock")] == []
        assert [*copy.glob("containers/.*"), *copy.glob("containers/names/*"), *copy.glob("pins/*")] == []
    runtime.environment.update(before)
    assert found


# Many at once


def test_many_at_once_leave_nothing(runtime):
    """Containers of eight processes, named and not, that run and are removed at the same time."""

    def work(number):
        done = runtime.run("--rm", "box:1", "sh", "-c", f"echo {number}; exit {number % 7}")
        assert (done.stdout, done.returncode) == (f"{number}\n", number % 7), done
        name = f"c{number}"
        runtime.start(name, "box:1", "sleep", "100")
        runtime.do("ps", "-a")
        runtime.do("rm", "-f", name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(32)))
    assert runtime.traces() == []
    assert runtime.ours() == []


def test_one_of_many_gets_the_name(runtime):
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _number: runtime.run("-d", "--name", "one", "box:1", "sleep", "100"), range(6)))
    assert sorted(one.returncode for one in done) == [0, 125, 125, 125, 125, 125]
    assert runtime.do("ps", "-a", "--format", "{{.Names}}") == "one\n"
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _number: runtime.call("rm", "-f", "one").returncode, range(6)))
    assert 0 in codes
    assert runtime.traces() == []


def test_start_and_stop_from_many_processes(runtime):
    runtime.do("create", "--network", "none", "--name", "one", "box:1", "sleep", "1000")

    def work(number):
        runtime.call("start" if number % 2 else "stop", *([] if number % 2 else ["-t", "0"]), "one")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(24)))
    runtime.do("start", "one")
    assert runtime.do("exec", "one", "echo", "fine") == "fine\n"
    assert len([pid for pid in runtime.ours() if b"monitor" in Path(f"/proc/{pid}/cmdline").read_bytes()]) == 1


def test_a_fork_bomb_and_a_hog_stay_in_their_limits(runtime):
    """pids and memory are the control group's (row 24)."""
    done = runtime.run(
        "--rm", "--pids-limit", "20", "box:1", "sh", "-c", "for i in $(seq 50); do sleep 5 & done; echo never"
    )
    assert "never" not in done.stdout or "fork" in done.stderr
    done = runtime.run(
        "--name", "hog", "--memory", "16m", "box:1", "sh", "-c", "x=$(yes | head -c 100000000); echo never"
    )
    assert done.returncode == 137 and "never" not in done.stdout
    assert runtime.inspect("hog")["State"]["OOMKilled"] is True
    found = runtime.do(
        "events", "--since", "1h", "--until", "0s", "-f", "container=hog", "--format", "{{.Action}}"
    ).split()
    assert "oom" in found
