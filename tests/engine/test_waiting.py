"""A lookup that waits holds up its own host alone. Should it hold up another, that one never does what it waits for."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shepherd.templating.lookups.programs import Program
from tests import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shepherd.lab.session import LabHost, LabSession

PATIENCE = 60  # seconds until a play that hangs is a failure


class Player:
    """Plays on this machine under the names `one`, which waits, and `two`, which goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fifo = folder / "fifo"
        os.mkfifo(self.fifo)

    @contextlib.contextmanager
    def started(self, play: dict[str, Any], *flags: str) -> Iterator[subprocess.Popen[str]]:
        play = {"hosts": "all", "gather_facts": False, "strategy": "free", **play}
        hosts = {"one": {}, "two": {}}
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        (self.folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        (self.folder / "play.yml").write_text(json.dumps([play]))
        words = ["play", "play.yml", "-i", "hosts.yml", "--output", "json", *flags]
        with command.started(words, self.folder, {"PATH": os.environ["PATH"], "HOME": str(self.folder)}) as process:
            yield process

    def play(self, *tasks: dict[str, Any], code: int = 0, **keywords: Any) -> dict[str, list[dict[str, Any]]]:
        """The results of each host."""
        with self.started({"tasks": list(tasks), **keywords}) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, out + err
        events = [json.loads(line) for line in out.splitlines()]
        results = [event for event in events if event["event"] == "HostResult"]
        return {host: [event["result"] for event in results if event["host"] == host] for host in ("one", "two")}


@pytest.fixture
def player(tmp_path: Path) -> Player:
    return Player(tmp_path)


def only(host: str, task: dict[str, Any]) -> dict[str, Any]:
    return {**task, "when": [f"inventory_hostname == '{host}'", *task.get("when", [])]}


WAITING = "lookup('pipe', 'cat fifo')"
SHOW = {"debug": {"msg": f"{{{{ {WAITING} }}}}"}}
# what waits for the word "here" → what is seen of it in the task's result
CASES: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any], Any]] = {
    "an option": (SHOW, lambda result: result["msg"], "here"),
    "query": ({"debug": {"msg": "{{ query('lines', 'cat fifo') }}"}}, lambda result: result["msg"], ["here"]),
    "q": ({"debug": {"msg": "{{ q('pipe', 'cat fifo') }}"}}, lambda result: result["msg"], ["here"]),
    "a variable": ({"debug": {"msg": "{{ slow }}"}}, lambda result: result["msg"], "slowly here"),
    "a variable that is shown": ({"debug": {"var": "slow"}}, lambda result: result["slow"], "slowly here"),
    "a condition": ({**SHOW, "when": [f"{WAITING} == 'there'"]}, lambda result: result["skipped"], True),
    "what is asserted": (
        {"assert": {"that": f"{WAITING} == 'here'"}},
        lambda result: result["msg"],
        "All assertions passed",
    ),
    "items of a loop": (
        {"debug": {"msg": "{{ item }}"}, "with_lines": "{{ ['cat fifo'] if inventory_hostname == 'one' else [] }}"},
        lambda result: [each["msg"] for each in result["results"]],
        ["here"],
    ),
    "an item's option": (
        {"debug": {"msg": "{{ lookup('pipe', item) }}"}, "loop": ["echo 1", "cat fifo", "echo 3"]},
        lambda result: [each["msg"] for each in result["results"]],
        ["1", "here", "3"],
    ),
    "changed_when": ({"ping": {}, "changed_when": f"{WAITING} == 'here'"}, lambda result: result["changed"], True),
    "failed_when after changed_when": (
        {"ping": {}, "register": "r", "changed_when": "r is not changed", "failed_when": f"{WAITING} != 'here'"},
        lambda result: (result["changed"], result["failed_when_result"]),
        (True, False),
    ),
    "until": (
        {"ping": {}, "until": f"{WAITING} == 'here'", "retries": 1},
        lambda result: result["attempts"],
        1,
    ),
    "where it runs": (
        {"command": "cat", "args": {"stdin": "{{ inventory_hostname }}"}, "delegate_to": f"{{{{ {WAITING} }}}}"},
        lambda result: result["stdout"],
        "one",
    ),
    "how it gets there": (
        {"ping": {}, "vars": {"ansible_python_interpreter": f"{{{{ [python, {WAITING}] | first }}}}"}},
        lambda result: result["ping"],
        "pong",
    ),
    "a named pipe": ({"debug": {"msg": "{{ lookup('file', 'fifo') }}"}}, lambda result: result["msg"], "here"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_other_host_goes_on(case: str, player: Player) -> None:
    task, seen, wanted = CASES[case]
    word = "two" if case == "where it runs" else "here"
    writes = {"shell": "echo $WORD > fifo", "environment": {"WORD": word}, "args": {"chdir": str(player.folder)}}
    found = player.play(
        only("one", task),
        only("two", writes),
        vars={"slow": f"slowly {{{{ {WAITING} }}}}", "python": sys.executable},
    )
    assert seen(found["one"][0]) == wanted


@pytest.mark.parametrize("keyword", ["name", "run_once"])
def test_keywords_of_a_task_where_hosts_go_their_own_way(keyword: str, player: Player) -> None:
    waits = f"{{{{ {WAITING} != 'here' if inventory_hostname == 'one' else false }}}}"
    writes = only("two", {"shell": "echo here > fifo", "args": {"chdir": str(player.folder)}})
    found = player.play({"ping": {}, keyword: waits}, writes, strategy="free")
    assert [results[0]["ping"] for results in found.values()] == ["pong", "pong"]


def test_a_file_with_includes(player: Player) -> None:
    """Two templates at the same time, each of which includes the file beside it after it has waited."""
    for host in ("one", "two"):
        os.mkfifo(player.folder / f"{host}.fifo")
        (player.folder / host).mkdir()
        (player.folder / host / "main.j2").write_text(
            f"{{{{ lookup('pipe', 'cat {host}.fifo') }}}} {{% include 'part.j2' %}}"
        )
        (player.folder / host / "part.j2").write_text(f"part of {host}")
    dest = f"{player.folder}/{{{{ inventory_hostname }}}}.out"
    play = {"tasks": [{"template": {"src": "{{ inventory_hostname }}/main.j2", "dest": dest}}]}
    with player.started(play) as process:
        with open(player.folder / "one.fifo", "w") as one, open(player.folder / "two.fifo", "w") as two:
            one.write("1")
            one.close()
            two.write("2")
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert (player.folder / "one.out").read_text() == "1 part of one"
    assert (player.folder / "two.out").read_text() == "2 part of two"


def test_a_variable_that_another_host_is_waiting_for(player: Player) -> None:
    """Both read the same variable of the same host at the same time: neither takes the other for a cycle."""
    program = "echo >> started; until [ -e go ]; do sleep 0.05; done; echo here"
    (player.folder / "host_vars").mkdir()
    (player.folder / "host_vars" / "one.yml").write_text(f"slow: \"{{{{ lookup('pipe', '{program}') }}}}\"\n")
    with player.started({"tasks": [{"debug": {"msg": "{{ hostvars['one'].slow }}"}}]}) as process:
        started = player.folder / "started"
        assert eventually(lambda: started.exists() and len(started.read_text()) == 2)
        (player.folder / "go").touch()
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert out.count('"msg": "here"') == 2


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold in good time."""
    end = time.monotonic() + PATIENCE
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.01)
    return held


def test_each_question_is_asked_once(player: Player) -> None:
    """What was rendered before it waited is rendered again; no program is run again."""
    ask = "lookup('pipe', 'echo >> log; wc -l < log')"
    found = player.play(
        only("one", {"debug": {"msg": f"{{{{ [{ask}, {ask}, again, again] }}}}"}}), vars={"again": f"{{{{ {ask} }}}}"}
    )
    assert sorted(found["one"][0]["msg"]) == ["1", "1", "2", "3"]  # a variable is rendered once
    assert (player.folder / "log").read_text() == "\n" * 3


def test_a_web_server_that_waits_for_the_other_host(player: Player) -> None:
    asked = threading.Event()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/wait":
                asked.wait(PATIENCE)
            asked.set()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"answer to " + self.path.encode())

        def log_message(self, *_: Any) -> None:
            """Not here."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            show = {"debug": {"msg": f"{{{{ lookup('url', '{url}' ~ path, timeout=50) }}}}"}}
            found = player.play({**show, "vars": {"path": "{{ '/wait' if inventory_hostname == 'one' else '/go' }}"}})
        finally:
            server.shutdown()
    assert [found[host][0]["msg"] for host in ("one", "two")] == ["answer to /wait", "answer to /go"]


def test_what_goes_wrong_is_told_with_its_place(player: Player) -> None:
    found = player.play(
        only("one", {"debug": {"msg": "{{ lookup('pipe', 'echo no >&2; exit 3') }}"}, "ignore_errors": True}),
        only("one", {"debug": {"msg": "{{ lookup('pipe', 'true') }}{{ nothing }}"}, "ignore_errors": True}),
        only("one", {"debug": {"msg": "{{ lookup('pipe', 'exit 3', errors='ignore') }}"}}),
    )
    first, second, third = (result["msg"] for result in found["one"])
    assert "returned 3: no" in first
    assert "play.yml" in first
    assert "'nothing' is undefined" in second
    assert third == ""


def test_interrupted_while_it_waits(player: Player) -> None:
    """The program ends, and so does the run."""
    with player.started(
        {"tasks": [only("one", {"debug": {"msg": "{{ lookup('pipe', 'exec cat fifo') }}"}})]}
    ) as process:
        assert eventually(lambda: bool(programs(process.pid)))
        asked = programs(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 99, out + err
    assert "Traceback" not in err
    assert eventually(lambda: not any(_is_program(pid) for pid in asked))


def test_a_program_that_is_wanted_no_more_while_it_is_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, going_on, real = threading.Event(), threading.Event(), subprocess.Popen

    def slow(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = real(*args, **options)
        begun.set()
        assert going_on.wait(PATIENCE)
        return process

    monkeypatch.setattr(subprocess, "Popen", slow)
    program, ended = Program("exec sleep 1000", str(tmp_path)), []
    running = threading.Thread(target=lambda: ended.append(program.run()))
    running.start()
    assert begun.wait(PATIENCE)
    stopping = threading.Thread(target=program.stop)
    stopping.start()
    going_on.set()
    for thread in (stopping, running):
        thread.join(PATIENCE)
    assert ended == [(b"", b"", -signal.SIGKILL)]


def test_a_program_that_is_wanted_no_more_before_it_is_started(tmp_path: Path) -> None:
    program = Program("touch started", str(tmp_path))
    program.stop()
    assert program.run() == (b"", b"", 0)
    assert not (tmp_path / "started").exists()


def programs(pid: int) -> list[int]:
    """The lookups' programs that the process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*")
    found = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return [child for child in found if _is_program(child)]


def _is_program(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"cat\0fifo\0"
    return False


@pytest.mark.lab
def test_items_that_are_sent_ahead_keep_their_order(lab: LabSession, lab_host: LabHost, tmp_path: Path) -> None:
    """The first one waits; those behind it could be sent before it."""
    fifo, order = tmp_path / "fifo", "/root/order"
    os.mkfifo(fifo)
    lab_host.exec(["rm", "-f", order])
    line = {"path": order, "create": True, "line": "{{ lookup('pipe', item) }}"}
    task = {"lineinfile": line, "loop": [f"cat {fifo}", "echo 2", "echo 3"]}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "web1", "gather_facts": False, "tasks": [task]}]))
    words = [sys.executable, "-m", "shepherd", "play", str(tmp_path / "play.yml"), "-i", str(lab.inventory)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        fifo.write_text("1\n")
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    assert lab_host.exec(["cat", order]).stdout == "1\n2\n3\n"
    lab_host.exec(["rm", "-f", order])
