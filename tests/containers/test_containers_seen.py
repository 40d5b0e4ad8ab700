"""`shepherd ps`, `logs`, `exec`, `stats`, `top` over several hosts, and what the recap says of containers that ail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import images
import pytest

from tests import warm
from tests.patience import seconds

pytestmark = [pytest.mark.lab(hosts=3), pytest.mark.xdist_group("seen")]  # one worker makes what all of it needs

LARGE = "0123456789abcdef" * 200_000  # more than pipes hold
PATIENCE = seconds(30)  # seconds until what must happen has happened
SAY = 'echo "I am $(cat /etc/hostname)"; echo "and so on" >&2; exec sleep 100000'


@pytest.fixture(scope="module")
def herd(shared_site: Any) -> Any:
    """Two instances on web1, one on web2, and on db1 no runtime."""
    images.save(shared_site.folder / "app.tar", images.base())
    common = {"image": "app:1", "stop_timeout": 0, "settle": 0.2, "command": ["sh", "-c", SAY]}
    tasks = [
        {"container_image": {"name": "app:1", "archive": "app.tar"}},
        {"container": {"name": "shop", "replicas": 2, **common}, "when": "inventory_hostname == 'web1'"},
        {"container": {"name": "shop", **common}, "when": "inventory_hostname == 'web2'"},
    ]
    shared_site.good(tasks, host="web1,web2")
    shared_site.runtime("run", "--name", "odd", "app:1", "echo", "odd")
    return shared_site


def test_ps_lists_all_hosts(herd):
    said = herd.shepherd("ps", "all")
    assert said.returncode == 0, said.stderr
    heading, *rows = said.stdout.splitlines()
    assert heading.split() == ["HOST", "NAME", "IMAGE", "STATUS", "RESTARTS", "PORTS"]
    assert [row.split()[:3] for row in rows] == [
        ["web1", "shop-1", "app:1"], ["web1", "shop-2", "app:1"], ["web2", "shop", "app:1"]]  # fmt: skip
    assert all(" Up " in row for row in rows)
    assert said.stderr == "db1: no container runtime there, so no containers\n"
    said = herd.shepherd("ps", "web1", "-a")
    assert "Exited (0)" in next(line for line in said.stdout.splitlines() if " odd " in line)


def test_ps_as_json_says_all_that_is_known(herd):
    found = json.loads(herd.shepherd("ps", "all", "shop", "--format", "json").stdout)
    assert [(one["host"], one["name"], one["status"]) for one in found] == [
        ("web1", "shop-1", "running"), ("web1", "shop-2", "running"), ("web2", "shop", "running")]  # fmt: skip
    first = found[0]
    assert first["command"] == ["sh", "-c", SAY]
    assert first["pid"] > 0
    assert (first["restarts"], first["oom_killed"], first["mounts"], first["app"]) == (0, False, [], "shop")


def test_names_are_instances_declarations_and_patterns(herd):
    for words, wanted in ((["shop-2"], ["shop-2"]), (["shop"], ["shop-1", "shop-2"]), (["o*"], ["odd"])):
        found = json.loads(herd.shepherd("ps", "web1", *words, "--format", "json").stdout)
        assert [one["name"] for one in found] == wanted


@pytest.mark.parametrize("verb", ["ps", "logs", "top", "stats", "exec"])
def test_a_container_that_is_nowhere_is_an_error(herd, verb):
    said = herd.shepherd(verb, "web1,web2", "none", *(["--", "true"] if verb == "exec" else []))
    assert said.returncode == 2
    assert "no container none" in said.stderr


def test_logs_are_merged_in_the_order_of_time_behind_host_and_container(herd):
    said = herd.shepherd("logs", "all", "shop", "--timestamps")
    assert said.returncode == 0, said.stderr
    lines = [line.split(" | ") for line in said.stdout.splitlines()]
    assert sorted(front.split() for front, _line in lines) == [["web1", "shop-1"], ["web1", "shop-2"], ["web2", "shop"]]
    times = [line.split()[0] for _front, line in lines]
    assert times == sorted(times)
    assert said.stderr.count("and so on") == 3
    assert herd.shepherd("logs", "web1", "shop-1", "--no-prefix").stdout.startswith("I am ")
    assert herd.shepherd("logs", "web1", "shop-1", "--tail", "0").stdout == ""
    piped = f"{sys.executable} -m shepherd logs all -i hosts.yml -f | true"  # who has seen enough
    said = subprocess.run(["sh", "-c", piped], cwd=herd.folder, env=herd.environment, capture_output=True, text=True)
    assert "bug" not in said.stderr
    assert "neither a number" in herd.shepherd("logs", "web1", "--tail", "many").stderr


def test_exec_runs_in_all_of_them_and_streams(herd):
    said = herd.shepherd("exec", "all", "shop", "--env", "A=b c", "--", "sh", "-c", "echo $A; echo $1 >&2", "-", "-x")
    assert said.returncode == 0, said.stderr
    lines = sorted(" ".join(line.split()) for line in said.stdout.splitlines())
    assert lines == ["web1 shop-1 | b c", "web1 shop-2 | b c", "web2 shop | b c"]
    assert said.stderr.count("| -x") == 3
    said = herd.shepherd(
        "exec", "web1", "shop", "--stdin", "--", "sh", "-c", "cat > /got; stat -c %s /got", given=LARGE
    )
    assert sorted(line.split(" | ")[1] for line in said.stdout.splitlines()) == [str(len(LARGE))] * 2
    said = herd.shepherd("exec", "web1", "shop", "--", "sh", "-c", "exit 3")
    assert said.returncode == 2
    assert "web1 shop-2: the command ended with status 3" in said.stderr
    assert "web1 odd: it does not run" in herd.shepherd("exec", "web1", "odd", "--", "true").stderr
    assert "a command is missing" in herd.shepherd("exec", "web1", "shop").stderr


def test_stats_and_top(herd):
    said = herd.shepherd("stats", "all", "--format", "json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert [(one["host"], one["Name"]) for one in found] == [("web1", "shop-1"), ("web1", "shop-2"), ("web2", "shop")]
    assert all(int(one["PIDs"]) >= 1 for one in found)
    lines = herd.shepherd("top", "web1,web2", "shop").stdout.splitlines()
    assert lines[0].split()[:4] == ["HOST", "CONTAINER", "UID", "PID"]
    assert [line.split()[:2] for line in lines[1:]] == [["web1", "shop-1"], ["web1", "shop-2"], ["web2", "shop"]]
    assert all(line.endswith("sleep 100000") for line in lines[1:])


def test_a_host_that_cannot_be_reached_is_said_and_the_others_answer(herd):
    inventory = json.loads((herd.folder / "hosts.yml").read_text())
    inventory["all"]["hosts"] = {"web1": inventory["all"]["hosts"]["web1"], "gone": {"ansible_host": "127.0.0.1"}}
    inventory["all"]["hosts"]["gone"] |= {"ansible_port": 1, "ansible_ssh_retries": 0}
    (herd.folder / "more.yml").write_text(json.dumps(inventory))
    said = herd.shepherd("ps", "all", "-i", "more.yml", "-l", "web1,gone", "--timeout", "2")
    assert said.returncode == 4
    assert "shop-1" in said.stdout
    assert "gone: " in said.stderr


def started(herd: Any, *words: str) -> subprocess.Popen[str]:
    return warm.Popen(
        [sys.executable, "-m", "shepherd", words[0], "-i", "hosts.yml", *words[1:]],
        cwd=herd.folder,
        env=herd.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(PATIENCE)
    finally:
        process.kill()
        process.stdout.close()
        process.stderr.close()


def test_logs_follow_what_is_there_and_what_comes_until_ctrl_c(herd):
    process = started(herd, "logs", "all", "shop*", "late", "-f", "--tail", "2")
    try:
        said = {process.stderr.readline().partition(" |")[0].strip() for _number in range(4)}
        assert said == {"db1: no container runtime there, so no containers", "web1 shop-1", "web1 shop-2", "web2 shop"}
        seen = {process.stdout.readline().split(" | ")[0].strip() for _number in range(3)}
        assert seen == {"web1 shop-1", "web1 shop-2", "web2 shop"}
        herd.runtime("exec", "shop-2", "sh", "-c", "echo hello > /proc/1/fd/1")
        assert process.stdout.readline() == "web1 shop-2 | hello\n"
        herd.runtime("run", "-d", "--rm", "--name", "late", "app:1", "sh", "-c", "echo better; exec sleep 100000")
        assert process.stdout.readline().split() == ["web1", "late", "|", "better"]
    finally:
        code = interrupted(process)
        herd.runtime("rm", "-f", "late")
    assert code == 99
    assert _gone(herd, "shepherd.remote")


def test_ctrl_c_ends_what_exec_runs(herd):
    stubborn = 'trap "" TERM; echo begun; sleep 54321; sleep 54321'  # and what it starts is deaf, too
    process = started(herd, "exec", "web1", "shop-1", "--", "sh", "-c", stubborn)
    try:
        assert process.stdout.readline() == "web1 shop-1 | begun\n"
    finally:
        code = interrupted(process)
    assert code == 99
    assert _gone(herd, "sleep 54321")


def _gone(herd: Any, words: str) -> bool:
    """Whether no process of the host is called so, soon."""
    script = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if words not in herd.host.exec(["sh", "-c", script]).stdout:
            return True
        os.sched_yield()
    return False


# The recap


def test_the_recap_says_which_containers_ail_and_nothing_where_none_does(herd):
    def declared(name: str, command: str, **more: Any) -> dict[str, Any]:
        options = {"name": name, "image": "app:1", "stop_timeout": 0, "settle": 0, "command": ["sh", "-c", command]}
        return {"container": {**options, **more}}

    well = herd.good([declared("well", "exec sleep 100000")], host="web2")
    assert json.loads(well.text.splitlines()[-1])["ailing"] == {}

    # one that is healthy when it has been declared, and ails when the play ends
    health = {"command": "test ! -e /broken", "interval": "100ms", "retries": 1}
    wait = 'while ! [ "$(shepherd-runtime ps -q --filter health=unhealthy)" ]; do :; done'
    tasks = [
        declared("ill", "exec sleep 100000", health=health),
        {"command": {"argv": ["shepherd-runtime", "exec", "ill", "sh", "-c", "echo x > /broken"]}},
        {"command": {"argv": ["timeout", str(PATIENCE), "sh", "-c", wait]}},
    ]
    played = herd.good(tasks, host="web2")
    recap = json.loads(played.text.splitlines()[-1])
    assert recap["event"] == "Recap"
    assert list(recap["ailing"]) == ["web2"]
    assert recap["ailing"]["web2"][0].startswith("ill is unhealthy")
