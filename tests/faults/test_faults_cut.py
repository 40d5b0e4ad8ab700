"""Runs that end before their time: on the way, on the target, at the controller. Nothing half done is left."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from plays import Fleet, cut, eventually, finish, helpers, running, tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shepherd.lab.session import LabHost

pytestmark = pytest.mark.lab(hosts=2)
LONG = "sleep 61.75"
BIG = 96 * 1024 * 1024  # bytes; enough to be met on its way
TARGET = "/root/big"


@pytest.fixture
def big(fleet: Fleet) -> Iterator[None]:
    """A large file, old content at its destination on the first host, and none of its pieces anywhere afterwards."""
    with open(fleet.folder / "big", "wb") as file:
        file.truncate(BIG)
    fleet.first.exec(["sh", "-c", f"echo old > {TARGET}"])
    yield
    leftovers = [_pieces(host) for host in (fleet.first, fleet.second)]
    content = fleet.first.exec(["head", "-c", "4", TARGET]).stdout
    for host in (fleet.first, fleet.second):
        host.exec(["rm", "-f", TARGET])
    assert leftovers == ["", ""]
    assert content == "old\n"


def _pieces(host: LabHost) -> str:
    """Files of some size that are younger than the test's own."""
    places = ["/root", "/tmp", "/var/tmp", "/dev/shm", "/home"]
    found = host.exec(["find", *places, "-xdev", "-type", "f", "-size", "+1000k", "!", "-path", TARGET], check=False)
    return found.stdout


def _under_way(host: LabHost) -> bool:
    """Has some of the large file come? It may have no name yet, so the open files of our processes are looked at."""
    script = 'for file in /proc/[0-9]*/fd/*; do stat -Lc "%F %s" "$file" 2>/dev/null; done'
    sizes = [
        line.split()[-1]
        for line in host.exec(["sh", "-c", script], check=False).stdout.splitlines()
        if "regular" in line
    ]
    return any(2_000_000 < int(size) < BIG for size in sizes)


COPY = tasks({"name": "big copy", "copy": {"src": "big", "dest": TARGET}}, {"ping": None})
SLEEP = tasks({"name": "long", "command": LONG}, {"ping": None})


def test_connection_cut_in_a_task(fleet: Fleet) -> None:
    long = tasks({"command": "{{ 'true' if inventory_hostname == other else long }}"}, {"ping": None})
    with fleet.started(long, "-e", f"other={fleet.second.name}", "-e", f'{{"long": "{LONG}"}}') as process:
        assert eventually(lambda: running(fleet.first, LONG))
        cut(fleet.first)
        done = finish(process)
    assert done.code == 4, done.out
    assert done.last(fleet.first.name)["status"] == "unreachable"
    message = done.last(fleet.first.name)["result"]["msg"]
    assert f"the connection to {fleet.first.name} ended" in message
    assert "run the play again" in message
    assert done.last(fleet.second.name)["action"] == "ping"
    assert eventually(lambda: not running(fleet.first, LONG))


def _hang(host: LabHost, sessions: list[str]) -> None:
    host.exec(["kill", "-STOP", *sessions])


def _vanish(host: LabHost, _: list[str]) -> None:
    host.exec(["ip", "link", "set", "eth0", "down"])


@pytest.mark.parametrize("spoil", [_hang, _vanish])
def test_a_host_that_falls_silent_in_a_task(fleet: Fleet, spoil: Callable[[LabHost, list[str]], None]) -> None:
    """A machine that hangs, while its kernel answers; a network that is gone. Neither sends as much as a goodbye."""
    fleet.settings["SHEPHERD_ALIVE_INTERVAL"] = "0.5"
    long = tasks({"command": "{{ 'sleep 4' if inventory_hostname == other else long }}"}, {"ping": None})
    with fleet.started(long, "-e", f"other={fleet.second.name}", "-e", f'{{"long": "{LONG}"}}') as process:
        assert eventually(lambda: running(fleet.first, LONG))
        sessions = running(fleet.first, r"sshd(-session)?: .*(@notty|\[priv\])")
        try:
            spoil(fleet.first, sessions)
            done = finish(process)
        finally:
            fleet.first.exec(["ip", "link", "set", "eth0", "up"])
            fleet.first.exec(["kill", "-CONT", *sessions], check=False)
            fleet.first.exec(["kill", "-9", *sessions], check=False)  # what ClientAliveInterval is for, sooner
    assert done.code == 4, done.out
    last = done.last(fleet.first.name)
    assert last["status"] == "unreachable"
    address = fleet.vars[fleet.first.name]["ansible_host"]
    for part in (f"{fleet.first.name}: nothing was heard from {address}", "for 2 seconds", "may still be running"):
        assert part in last["result"]["msg"]
    assert [result["status"] for result in done.results(fleet.second.name)] == ["changed", "ok"]
    assert eventually(lambda: not running(fleet.first, LONG))


@pytest.mark.usefixtures("big")
def test_connection_cut_in_a_copy(fleet: Fleet) -> None:
    del fleet.vars[fleet.second.name]
    with fleet.started(COPY) as process:
        assert eventually(lambda: _under_way(fleet.first))
        cut(fleet.first)
        done = finish(process)
    assert done.code == 4, done.out
    assert done.last(fleet.first.name)["status"] == "unreachable"
    assert eventually(lambda: not helpers(fleet.first))


@pytest.mark.usefixtures("big")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_controller_ended_in_a_copy(fleet: Fleet, number: signal.Signals) -> None:
    del fleet.vars[fleet.second.name]
    with fleet.started(COPY) as process:
        assert eventually(lambda: _under_way(fleet.first))
        process.send_signal(number)
        done = finish(process)
    assert done.code == (99 if number == signal.SIGINT else -number)
    assert eventually(lambda: not helpers(fleet.first))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_controller_ended_in_a_command(fleet: Fleet, number: signal.Signals) -> None:
    with fleet.started(SLEEP, "--output", "plain") as process:
        assert eventually(lambda: running(fleet.first, LONG) and running(fleet.second, LONG))
        process.send_signal(number)
        done = finish(process)
    for host in (fleet.first, fleet.second):
        assert eventually(lambda host=host: not running(host, LONG))
    assert "Traceback" not in done.err
    if number == signal.SIGINT:
        assert done.code == 99
        assert "PLAY RECAP" in done.out
        assert "interrupted" in done.out
    else:
        assert done.code == -number


def test_task_timeout(fleet: Fleet) -> None:
    done = fleet.play(tasks({"command": LONG, "ignore_errors": True}, {"ping": None}), "--task-timeout", "1")
    assert done.code == 0, done.out
    first, second = done.results(fleet.first.name)
    assert "1" in first["result"]["msg"]
    assert first["result"]["timedout"]["period"] == 1
    assert second["status"] == "ok"
    assert not running(fleet.first, LONG)


@pytest.fixture
def small(fleet: Fleet) -> Iterator[str]:
    """A file system of one MiB on the first host, its path."""
    path = "/mnt/small"
    for host in (fleet.first, fleet.second):
        host.exec(["mkdir", "-p", path])
    fleet.first.exec(["mount", "-t", "tmpfs", "-o", "size=1m", "small", path])
    yield path
    fleet.first.exec(["umount", "-l", path])
    fleet.second.exec(["rm", "-rf", path])


def test_disk_full(fleet: Fleet, small: str) -> None:
    (fleet.folder / "large").write_bytes(b"x" * 3 * 1024 * 1024)
    fleet.first.exec(["sh", "-c", f"echo old > {small}/large; echo old > {small}/line"])
    done = fleet.play(
        tasks(
            {"copy": {"src": "large", "dest": f"{small}/large"}, "ignore_errors": True},
            {"copy": {"content": "{{ 'y' * 2000000 }}", "dest": f"{small}/other"}, "ignore_errors": True},
            {
                "lineinfile": {"path": f"{small}/line", "line": "{{ 'z' * 2000000 }}", "create": True},
                "ignore_errors": True,
            },
            {"ping": None},
        )
    )
    assert done.code == 0, done.out[-3000:]
    first, second, third, last = done.results(fleet.first.name)
    for result in (first, second, third):
        assert result["status"] == "failed"
        assert "No space left on device" in result["result"]["msg"], result["result"]["msg"][-500:]
    assert last["status"] == "ok"
    assert fleet.first.exec(["ls", "-A", small]).stdout.split() == ["large", "line"]
    assert fleet.first.exec(["cat", f"{small}/large", f"{small}/line"]).stdout == "old\nold\n"
    assert [result["status"] for result in done.results(fleet.second.name)][:3] == ["changed"] * 3


def test_output_that_could_drive_a_terminal(fleet: Fleet) -> None:
    del fleet.vars[fleet.second.name]
    evil = {"shell": r"printf '\033]0;owned\007\033[2J\377\302\233\r\342\200\256'; exit 1", "ignore_errors": True}
    for form in ("terminal", "json"):
        done = fleet.play(tasks(evil, {"debug": {"var": "ansible_version.full"}}), "--output", form, "-vvv")
        assert done.code == 0, done.out + done.err
        text = done.out
        assert "owned" in text
        for bad in ("\x1b]", "\x1b[2J", "\x07", "\u009b", "\u202e", "\udcff"):
            assert bad not in text
