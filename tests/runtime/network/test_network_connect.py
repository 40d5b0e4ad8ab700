"""`network connect` and `network disconnect`: real containers, whose networks change while they run."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from places import CLIENT, eventually

for folder in ("images", "containers"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
from containers import base  # noqa: E402
from image_maker import Layout, layer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from places import Host

pytestmark = pytest.mark.lab
SERVE = ("box:1", "httpd", "-f", "-p", "80", "-h", "/data")


@pytest.fixture
def run(host: Host, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """The command line on the test's own host, with an image of busybox."""
    host.environment["SHEPHERD_RUNTIME_STATE"] = str(tmp_path / "running")
    layout = Layout(tmp_path / "layout")
    layout.name(layout.image([layer(*base())], config={"Env": ["PATH=/bin"]}), "box:1")

    def call(*words: str, status: int = 0) -> str:
        done = host.runtime(*words, check=False)
        assert done.returncode == status, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done.stdout if status == 0 else done.stderr

    call("load", "-q", str(layout.path))
    yield call
    for name in call("ps", "-aq").split():
        call("rm", "-f", name)


def networks(run: Callable[..., str], name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("inspect", name))[0]["NetworkSettings"]["Networks"]
    return found


def fetched(host: Host, port: int) -> bytes:
    """What a published port answers; nothing where it is closed."""
    try:
        with host.connect("127.0.0.1", port) as end:
            end.sendall(b"GET /seed HTTP/1.0\r\n\r\n")
            end.shutdown(socket.SHUT_WR)
            said = b""
            while data := end.recv(4096):
                said += data
            return said.rpartition(b"\n\r\n")[2]
    except ConnectionError:
        return b""


def test_a_running_container_comes_to_a_network_and_leaves_one(host, run):
    run("network", "create", "front")
    run("network", "create", "--internal", "--subnet", "10.6.0.0/24", "back")
    run("network", "create", "--ipv6", "third")
    run("run", "-d", "--name", "web", "--network", "front", "-p", "127.0.0.1:8080:80", *SERVE)
    run("run", "-d", "--name", "peer", "--network", "back", "box:1", "sleep", "1000")
    assert fetched(host, 8080) == b"seed\n"

    run("network", "connect", "--alias", "store", "--ip", "10.6.0.9", "back", "web")
    assert "10.6.0.9/24" in run("exec", "web", "ip", "addr", "show", "dev", "eth1")
    assert run("exec", "peer", "wget", "-qO-", "http://store/seed") == "seed\n"
    assert networks(run, "web")["back"]["IPAddress"] == "10.6.0.9"
    assert "10.6.0" in run("exec", "web", "grep", "peer", "/etc/hosts")
    assert fetched(host, 8080) == b"seed\n"

    # its way out, and its ports', goes; a network that leads outside brings both back
    run("network", "disconnect", "front", "web")
    assert "eth0" not in run("exec", "web", "ip", "addr") and set(networks(run, "web")) == {"back"}
    assert fetched(host, 8080) == b"" and run("port", "web") == ""
    run("network", "connect", "third", "web")
    assert fetched(host, 8080) == b"seed\n"
    (serving,) = host.forwarders()
    os.kill(serving, signal.SIGKILL)
    eventually(lambda: fetched(host, 8080) == b"seed\n")  # its monitor has been told of the process
    assert "default via" in run("exec", "web", "ip", "route")
    assert "default via" in run("exec", "web", "ip", "-6", "route")

    # with two that lead outside, the other takes over
    run("network", "connect", "front", "web")
    run("network", "disconnect", "third", "web")
    assert fetched(host, 8080) == b"seed\n" and run("port", "web") == "80/tcp -> 127.0.0.1:8080\n"
    assert run("exec", "web", "ip", "route").count("default via") == 1

    run("restart", "-t", "0", "web")
    assert set(networks(run, "web")) == {"back", "front"}
    assert networks(run, "web")["back"]["IPAddress"] == "10.6.0.9", "what was declared once is kept"
    assert run("exec", "peer", "wget", "-qO-", "http://store/seed") == "seed\n" and fetched(host, 8080) == b"seed\n"
    run("network", "disconnect", "back", "peer")
    assert run("exec", "peer", "ip", "route") == ""
    run("restart", "-t", "0", "peer")
    assert networks(run, "peer").get("back") is None
    run("rm", "-f", "web", "peer")
    assert run("network", "prune", "-f").split()[2:] == ["back", "front", "third"], "nobody is on them"


def test_ports_that_are_shared_go_with_the_network_and_come_back(host, run):
    run("network", "create", "front")
    run("network", "create", "--internal", "back")
    for name in ("one", "two"):
        run("run", "-d", "--name", name, "--network", "front", "--front", "both", "-p", "127.0.0.1:8080:80", *SERVE)
    run("network", "connect", "back", "one")
    run("network", "disconnect", "front", "one")
    for _turn in range(4):
        assert fetched(host, 8080) == b"seed\n", "the other one serves all of them"
    run("rm", "-f", "two")
    assert fetched(host, 8080) == b""
    run("network", "connect", "front", "one")
    assert fetched(host, 8080) == b"seed\n"


def test_a_container_that_does_not_run_is_connected_at_its_start(host, run):
    for name in ("one", "two"):
        run("network", "create", name)
    run("create", "--name", "box", "--network", "one", "--network-alias", "first", "box:1", "sleep", "1000")
    run("network", "connect", "--alias", "second", "two", "box")
    run("network", "disconnect", "one", "box")
    run("network", "connect", "one", "box")
    run("start", "box")
    assert set(networks(run, "box")) == {"one", "two"}
    assert "second" in run("exec", "box", "cat", "/etc/hosts") and "first" not in run(
        "exec", "box", "cat", "/etc/hosts"
    )


WRONG = [
    (["connect", "one", "box"], "container box is on network one already"),
    (["connect", "nowhere", "box"], "no such network: 'nowhere'"),
    (["connect", "one", "nobody"], "no such container: nobody"),
    (["connect", "--ip", "192.0.2.1", "two", "box"], "192.0.2.1 is no address of network two"),
    (["connect", "--ip", "10.7.0.1", "two", "box"], "10.7.0.1 is no address for a container"),
    (["connect", "--alias", "a b", "two", "box"], "'a b' is no name"),
    (["connect", "--alias", "x", "bridge", "box"], "--alias needs a network that was made"),
    (["connect", "one", "alone"], "container alone has no network of its own"),
    (["disconnect", "two", "box"], "container box is not on network two"),
    (["disconnect", "one", "alone"], "container alone has no network of its own"),
]


def test_what_cannot_be_changes_nothing(host, run):
    run("network", "create", "one")
    run("network", "create", "--subnet", "10.7.0.0/24", "two")
    run("run", "-d", "--name", "box", "--network", "one", "box:1", "sleep", "1000")
    run("create", "--name", "alone", "--network", "none", "box:1", "true")
    before = run("inspect", "box"), [name for name in host.interfaces() if name.startswith("veth")]
    for words, said in WRONG:
        assert said in run("network", *words, status=1), words
    assert (run("inspect", "box"), [name for name in host.interfaces() if name.startswith("veth")]) == before


def test_steps_of_a_build_reach_what_containers_reach(host, run, tmp_path):
    """`build --network bridge`: a way out, names, and nothing left of it, nor of a build that was killed."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Containerfile").write_text(
        "FROM box:1\n"
        "RUN ip addr show eth0 && ip route > /routes && grep -q build /etc/hosts && test -s /etc/resolv.conf\n"
        f"RUN wget -qO /fetched http://{CLIENT}/\n"
        "RUN --network=none ! ip addr show eth0\n"
    )
    with host.client.listen(80) as listener, threaded(lambda: answer(listener)):
        run("build", "--network", "bridge", "-t", "built:1", str(tmp_path / "context"))
    assert run("run", "--rm", "--network", "none", "built:1", "cat", "/fetched") == "from outside\n"
    assert "default via" in run("run", "--rm", "--network", "none", "built:1", "cat", "/routes")
    assert [name for name in host.interfaces() if name.startswith("veth")] == []
    assert json.loads(run("network", "inspect", "bridge"))[0]["Containers"] == {}
    assert "no such network: 'nowhere'" in run("build", "--network", "nowhere", str(tmp_path / "context"), status=1)


def answer(listener: socket.socket) -> None:
    end, _address = listener.accept()
    with end:
        end.recv(4096)
        end.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nfrom outside\n")


@contextmanager
def threaded(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()
