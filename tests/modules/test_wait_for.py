"""wait_for: ports of a real listener, real files, and how it says that the time is up."""

import socket
import threading
import time

import pytest


@pytest.fixture
def listener():
    """A port that greets whoever connects, and has one connection open to itself."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = server.getsockname()[1]
    opened = socket.create_connection(("127.0.0.1", port))
    accepted = server.accept()[0]

    def greet():
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            connection.sendall(b"220 hello\nready\n")
            connection.close()

    thread = threading.Thread(target=greet, daemon=True)
    thread.start()
    yield port
    opened.close()
    accepted.close()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


FINE = {"match_groups": [], "match_groupdict": {}, "changed": False}

# options ("P" is a port that listens, "C" one that does not, "F" a file, "N" none), what the result says
CASES = [
    ({"port": "P"}, {**FINE, "elapsed": 0, "state": "started", "path": None, "search_regex": None}),
    ({"port": "C", "timeout": 0}, {"failed": True, "msg": "Timeout when waiting for 127.0.0.1:C", "elapsed": 0}),
    ({"port": "C", "timeout": 0, "msg": "Not yet"}, {"failed": True, "msg": "Not yet"}),
    ({"port": "C", "state": "stopped"}, {**FINE, "state": "stopped"}),
    (
        {"port": "P", "state": "absent", "timeout": 0},
        {"failed": True, "msg": "Timeout when waiting for 127.0.0.1:P to stop."},
    ),
    ({"port": "P", "search_regex": "^re(.)dy"}, {**FINE, "search_regex": "^re(.)dy"}),
    (
        {"port": "P", "search_regex": "never", "timeout": 0},
        {"failed": True, "msg": "Timeout when waiting for search string never in 127.0.0.1:P"},
    ),
    ({"port": "C", "state": "drained"}, {**FINE, "state": "drained"}),
    (
        {"port": "P", "state": "drained", "timeout": 0},
        {"failed": True, "msg": "Timeout when waiting for 127.0.0.1:P to drain"},
    ),
    ({"port": "P", "state": "drained", "timeout": 0, "host": "0.0.0.0"}, {"failed": True}),  # noqa: S104  # nothing is bound to it
    ({"port": "P", "state": "drained", "host": "127.0.0.2"}, FINE),
    ({"port": "P", "state": "drained", "exclude_hosts": ["127.0.0.1"]}, FINE),
    ({"port": "P", "state": "drained", "active_connection_states": ["SYN_SENT"]}, FINE),
    (
        {"port": "P", "state": "drained", "active_connection_states": ["FOO"]},
        {"failed": True, "msg": "unknown active_connection_state (FOO) defined"},
    ),
    ({"port": "P", "exclude_hosts": ["a"]}, {"failed": True, "msg": "exclude_hosts should only be with state=drained"}),
    (
        {"port": "P", "path": "/x"},
        {"failed": True, "msg": "port and path parameter can not both be passed to wait_for"},
    ),
    (
        {"path": "F", "state": "stopped"},
        {"failed": True, "msg": "state=stopped should only be used for checking a port in the wait_for module"},
    ),
    ({"path": "F"}, {**FINE, "state": "file", "mode": "0640", "uid": 0, "owner": "root", "size": 20}),
    ({"path": "F", "search_regex": r"^b=(?P<b>\d+)$"}, {"match_groups": ["22"], "match_groupdict": {"b": "22"}}),
    (
        {"path": "F", "search_regex": "never", "timeout": 0},
        {"failed": True, "msg": "Timeout when waiting for search string never in F"},
    ),
    ({"path": "N", "timeout": 0}, {"failed": True, "msg": "Timeout when waiting for file N"}),
    ({"path": "N", "state": "absent"}, {**FINE, "state": "absent"}),
    (
        {"path": "F", "state": "absent", "timeout": 0},
        {"failed": True, "msg": "Timeout when waiting for F to be absent."},
    ),
    ({"timeout": 0}, {**FINE, "state": "started", "port": None}),
]


@pytest.mark.parametrize(("args", "expected"), CASES, ids=lambda value: str(value)[:50])
def test_results(run, listener, closed_port, scratch, args, expected):
    file = scratch / "file"
    file.write_text("a=1\nb=22\nc=333\n####\n")
    file.chmod(0o640)
    names = {"P": listener, "C": closed_port, "F": str(file), "N": str(scratch / "none")}
    given = {key: names.get(value, value) if isinstance(value, str) else value for key, value in args.items()}
    result = run("wait_for", given)
    for key, value in expected.items():
        if isinstance(value, str):
            for short in ("P", "C"):
                value = value.replace(f":{short}", f":{names[short]}")
            for short in ("F", "N"):
                value = value.replace(f" {short}", f" {names[short]}")
        assert result.get(key) == value, (key, result)


def test_it_comes_while_it_waits(run, scratch):
    path = scratch / "later"
    threading.Timer(0.2, lambda: path.write_text("x")).start()
    started = time.monotonic()
    assert run("wait_for", {"path": str(path), "timeout": 20, "sleep": 10}).get("failed") is None
    assert time.monotonic() - started < 5, "the first looks come sooner than `sleep`"


def test_bytes_that_are_no_text(run, scratch):
    (scratch / "file").write_bytes(b"\xff\xfe first\nsecond \xe9\n")
    result = run("wait_for", {"path": str(scratch / "file"), "search_regex": "^(sec)ond"})
    assert result["match_groups"] == ["sec"]


def test_a_directory_has_no_text(run, scratch):
    assert run("wait_for", {"path": str(scratch), "search_regex": "x", "timeout": 0})["failed"]
