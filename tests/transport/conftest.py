"""Servers, keys made for them, and a clean home for the user who connects."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from ssh_servers import Sshd, make_key, relay

from shepherd.transport import Endpoint, keys, ssh_config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def material(tmp_path_factory) -> Path:
    """Keys: `host` of the servers, `user` who may log in, `authorized` the server's list of them."""
    folder = tmp_path_factory.mktemp("ssh")
    make_key(folder / "host")
    make_key(folder / "user")
    shutil.copy(folder / "user.pub", folder / "authorized")
    return folder


@pytest.fixture
def sshd(material, tmp_path):
    """Start servers: sshd(name, Option=value, …)."""
    servers: list[Sshd] = []

    def start(name: str = "server", *, host_key: Path | None = None, authorized: Path | None = None, **options: str):
        server = Sshd(tmp_path / name, host_key or material / "host", authorized or material / "authorized", **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def shared_server(material, tmp_path_factory):
    """A server with nothing special about it."""
    server = Sshd(tmp_path_factory.mktemp("shared") / "server", material / "host", material / "authorized")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """An empty home, no agent, nothing in the environment that changes a connection."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("SHEPHERD_ACCEPT_NEW_HOST_KEYS", raising=False)
    monkeypatch.setattr(ssh_config, "SYSTEM_FILE", str(tmp_path / "no-system-file"))
    monkeypatch.setattr(keys, "ask_passphrase", None)
    keys.forget()
    return folder


@pytest.fixture
def known(home):
    """Add a server's key to known_hosts."""

    def add(*servers: Sshd) -> None:
        with (home / ".ssh/known_hosts").open("a") as handle:
            handle.writelines(f"{server.address} {server.public_key}\n" for server in servers)

    return add


@pytest.fixture
def server(shared_server, known) -> Sshd:
    known(shared_server)
    return shared_server


@pytest.fixture
def endpoint(material):
    """An endpoint of a server, with the key that it accepts."""

    def make(server: Sshd, **changes) -> Endpoint:
        options = {
            "host": "web1",
            "address": "127.0.0.1",
            "port": server.port,
            "user": "root",
            "private_key_file": str(material / "user"),
        }
        return Endpoint(**(options | changes))

    return make


@pytest.fixture
def front(sshd, known):
    """A server behind a relay that can be made to freeze, or to reset its connection."""
    server = sshd()
    known(server)
    frozen = threading.Event()
    connections: list[socket.socket] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            connections.append(listening.accept()[0])
            relay(connections[0], server.port, frozen)

    thread = threading.Thread(target=serve)
    thread.start()
    yield server, listening.getsockname()[1], frozen, connections
    for connection in connections:
        connection.close()
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    listening.close()
