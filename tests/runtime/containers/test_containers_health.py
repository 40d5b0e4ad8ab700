"""Logs and health: what a monitor does for a container that runs."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest
from containers import UP, up
from image_maker import layer

pytestmark = pytest.mark.lab


# Logs


def test_the_log_is_as_docker_writes_it(runtime):
    script = "echo out; printf 'a\\033\\377\"b'; echo err >&2; head -c 40000 /dev/zero | tr '\\0' x"
    runtime.start("one", "box:1", "sh", "-c", script)
    runtime.do("wait", "one")
    path = runtime.inspect("one")["LogPath"]
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert all(sorted(line) == ["log", "stream", "time"] for line in lines)
    out = "".join(line["log"] for line in lines if line["stream"] == "stdout")
    assert out == 'out\na\x1b\ufffd"b' + "x" * 40000
    assert max(len(line["log"]) for line in lines) <= 16384
    assert [line["log"] for line in lines if line["stream"] == "stderr"] == ["err\n"]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_rotation(runtime):
    runtime.run("--name", "one", "--log-opt", "max-size=20k", "--log-opt", "max-file=3", "box:1", "seq", "3000")
    path = runtime.inspect("one")["LogPath"]
    files = [path + ".2", path + ".1", path]
    assert all(0 < os.stat(one).st_size <= 20480 for one in files) and not os.path.exists(path + ".3")
    kept = [json.loads(line)["log"] for one in files for line in Path(one).read_text().splitlines()]
    assert kept == [f"{number}\n" for number in range(3001 - len(kept), 3001)]
    assert runtime.do("logs", "one") == "".join(kept)
    for count in (0, 1, 5, len(kept) - 1, len(kept), len(kept) + 5):
        assert runtime.do("logs", "--tail", str(count), "one") == "".join(kept[len(kept) - min(count, len(kept)) :]), (
            count
        )


def test_logs_since_until_and_times(runtime):
    runtime.run("--name", "one", "box:1", "sh", "-c", "echo a; sleep 0.3; echo b")
    lines = runtime.do("logs", "-t", "one").splitlines()
    stamps = [line.split()[0] for line in lines]
    assert [line.split()[1] for line in lines] == ["a", "b"]
    assert runtime.do("logs", "--since", stamps[1], "one") == "b\n"
    assert runtime.do("logs", "--until", stamps[0], "one") == "a\n"
    assert runtime.do("logs", "--since", "10m", "one") == "a\nb\n"
    assert runtime.do("logs", "--until", "10m", "one") == ""
    assert "should be a time" in runtime.call("logs", "--since", "soon", "one").stderr


def test_following_goes_on_through_rotations_and_ends_with_the_container(runtime):
    """What is written while somebody follows is less than the log keeps: a slow follower misses nothing either."""
    runtime.start(
        "one",
        "--log-opt",
        "max-size=30k",
        "--log-opt",
        "max-file=9",
        "box:1",
        "sh",
        "-c",
        "seq 1000; until test -e /tmp/go; do sleep 0.05; done; seq 1001 4000",
    )
    with runtime.popen("logs", "-f", "one") as following:
        first = following.stdout.readline()
        runtime.do("exec", "one", "touch", "/tmp/go")
        followed = first + following.stdout.read()
    assert followed == "".join(f"{number}\n" for number in range(1, 4001))


def test_a_full_disk_loses_lines_and_nothing_else(runtime, tmp_path):
    """The log is never half a line, and the container goes on."""
    from shepherd.runtime.containers.log import Log

    log = Log(str(tmp_path / "log"), 0, 1)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        for number in range(100):
            log.write("stdout", b"line %d\n" % number)
        log.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert 5 < len(lines) < 100 and all(json.loads(line) for line in lines)


# Health


def test_health_by_a_command(runtime):
    up(runtime, "one", "--health-cmd", "cat /tmp/ok", "--health-interval", "50ms", "--health-retries", "2")
    runtime.until(lambda: runtime.inspect("one")["State"]["Health"]["Status"] == "unhealthy")
    health = runtime.inspect("one")["State"]["Health"]
    assert (
        health["FailingStreak"] >= 2
        and "No such file" in health["Log"][-1]["Output"]
        and health["Log"][-1]["ExitCode"] == 1
    )
    assert "(unhealthy)" in runtime.do("ps")
    runtime.do("exec", "one", "touch", "/tmp/ok")
    runtime.until(lambda: "(healthy)" in runtime.do("ps", "-f", "health=healthy"))
    found = runtime.do("events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}").splitlines()
    assert "health_status: unhealthy" in found and "health_status: healthy" in found


def test_a_check_that_hangs_is_ended(runtime):
    up(
        runtime,
        "one",
        "--health-cmd",
        "sleep 1000",
        "--health-interval",
        "50ms",
        "--health-timeout",
        "100ms",
        "--health-retries",
        "1",
    )
    runtime.until(lambda: runtime.inspect("one")["State"]["Health"]["Status"] == "unhealthy")
    assert "exceeded timeout" in runtime.inspect("one")["State"]["Health"]["Log"][-1]["Output"]


def test_health_by_http_and_tcp(runtime):
    """Asked from inside its network, where nobody else listens."""
    serve = "mkdir -p /www; echo hi > /www/good; httpd -p 127.0.0.1:8080 -h /www; " + UP
    for name, words, wanted in (
        ("good", ["--health-http", "http://127.0.0.1:8080/good"], "healthy"),
        ("bad", ["--health-http", "127.0.0.1:8080/missing"], "unhealthy"),
        ("open", ["--health-tcp", "8080"], "healthy"),
        ("shut", ["--health-tcp", "localhost:8081"], "unhealthy"),
    ):
        up(runtime, name, *words, "--health-interval", "50ms", "--health-retries", "1", script=serve)
        runtime.until(
            lambda name=name, wanted=wanted: runtime.inspect(name)["State"]["Health"]["Status"] == wanted, name
        )


def test_the_image_says_how_it_is_checked(runtime):
    from containers import base

    runtime.image(
        "checked:1", [layer(*base())], Cmd=["sleep", "100"], Healthcheck={"Test": ["CMD", "true"], "Interval": 50000000}
    )
    runtime.do("run", "-d", "--network", "none", "--name", "one", "checked:1")
    runtime.until(lambda: runtime.inspect("one")["State"]["Health"]["Status"] == "healthy")
    runtime.do("run", "-d", "--network", "none", "--name", "two", "--no-healthcheck", "checked:1")
    assert "Health" not in runtime.inspect("two")["State"]
    assert "need a check" in runtime.run("--health-interval", "1s", "box:1", "true").stderr


def test_failures_do_not_count_while_it_starts(runtime):
    up(
        runtime,
        "one",
        "--health-cmd",
        "false",
        "--health-interval",
        "20ms",
        "--health-start-interval",
        "20ms",
        "--health-start-period",
        "1h",
        "--health-retries",
        "1",
    )
    runtime.until(lambda: len(runtime.inspect("one")["State"]["Health"]["Log"]) >= 3)
    assert runtime.inspect("one")["State"]["Health"]["Status"] == "starting"


def test_who_has_just_started_is_asked_early_and_that_is_never_held_against_it(runtime):
    up(runtime, "one", "--health-cmd", "test -e /tmp/well", "--health-interval", "1h", "--health-retries", "1")
    runtime.until(lambda: len(runtime.inspect("one")["State"]["Health"]["Log"]) >= 3)
    health = runtime.inspect("one")["State"]["Health"]
    assert (health["Status"], health["FailingStreak"]) == ("starting", 0)
    assert {check["ExitCode"] for check in health["Log"]} == {1}
    runtime.do("exec", "one", "touch", "/tmp/well")
    runtime.until(lambda: runtime.inspect("one")["State"]["Health"]["Status"] == "healthy")
