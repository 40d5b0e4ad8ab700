"""Blobs from one machine's store to another's, on the Pythons that targets may have, and what a break leaves."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_images_pythons import pythons

from shepherd.actions import _certificate
from shepherd.runtime.images.digest import of
from shepherd.runtime.images.store import Store
from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM, CHECKOUT = Path(__file__).with_name("peer_program.py"), Path(__file__).parents[3]
CONTENTS = (os.urandom(3 << 20), b"", b"a configuration")


class Fetching:
    """A store with blobs, and an empty one."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target = Store(str(folder / "source")), Store(str(folder / "target"))
        self.key, self.certificate = _certificate.make()
        with self.source.lease() as lease:
            for content in CONTENTS:
                self.source.add(content, lease)
        self.blobs = [(str(of(content)), len(content)) for content in CONTENTS]
        self.given = {"blobs": self.blobs, "certificate": self.certificate, "token": "0" * 64}

    @contextmanager
    def served(self, python: str = sys.executable) -> Iterator[tuple[subprocess.Popen[str], int]]:
        process = self._start(python, serve=self.source.root, key=self.key)
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()
            process.communicate()

    def fetch(self, port: int, python: str = sys.executable, **given: Any) -> str:
        return self._start(python, fetch=self.target.root, port=port, **given).communicate(timeout=seconds(60))[0]

    def _start(self, python: str, **given: Any) -> subprocess.Popen[str]:
        words = [python, "-I", "-S", "-B", str(PROGRAM), str(CHECKOUT)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(json.dumps({**self.given, **given}) + "\n")
        process.stdin.flush()
        return process

    def arrived(self) -> list[bytes]:
        return [self.target.open(of(content)).read() for content in CONTENTS if self.target.has(of(content))]


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    return Fetching(tmp_path)


@pytest.mark.parametrize("python", pythons())
def test_what_is_missing_arrives(python, fetching):
    with fetching.served(python) as (_process, port):
        other = _certificate.make()[1]
        assert "TLS connection" in fetching.fetch(port, python, certificate=other)
        assert "does not let us in" in fetching.fetch(port, python, token="1" * 64)
        assert fetching.arrived() == []
        assert fetching.fetch(port, python) == "fine\n"
    assert fetching.arrived() == list(CONTENTS)


def test_one_that_is_killed_in_the_middle_is_gone_on_from(fetching):
    with fetching.served() as (process, port), _passing(port, 2 << 20, process.kill) as between:
        said = fetching.fetch(between.port)
        begun = int(re.search(r"\[(\d+),", said)[1])  # type: ignore[index]
        assert said.startswith(("the blob", "cannot reach")) and 0 < begun <= 2 << 20
    with fetching.served() as (process, port), _passing(port, 4 << 20, process.kill) as between:
        assert fetching.fetch(between.port) == "fine\n"
        assert between.passed < (3 << 20) - begun + 100_000
    assert fetching.arrived() == list(CONTENTS)


# Debian's Python is one more: which error there is depends on the version
@pytest.mark.parametrize("python", dict.fromkeys([*pythons(), *map(str, Path("/usr/bin").glob("python3"))]))
def test_one_that_hangs_up_instead_of_saying_who_it_is_is_none_that_is_not_to_be_believed(python, fetching):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        client.recv(65536)

        threading.Thread(target=serve, daemon=True).start()
        assert fetching.fetch(listener.getsockname()[1], python).startswith("cannot reach 127.0.0.1")
        listener.shutdown(socket.SHUT_RDWR)


class _Between:
    port: int
    passed = 0  # bytes from the server


@contextmanager
def _passing(port: int, most: int, then: Any) -> Iterator[_Between]:
    """A port that leads to another one; `then` is called when `most` bytes have come from there."""
    between, listener = _Between(), socket.create_server(("127.0.0.1", 0))
    between.port = listener.getsockname()[1]

    def back(source: socket.socket, sink: socket.socket) -> None:
        try:
            while between.passed < most and (data := source.recv(min(65536, most - between.passed))):
                between.passed += len(data)
                sink.sendall(data)
            if between.passed >= most:
                then()
        except OSError:
            pass  # either end has gone
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def forth(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                client.close()
                continue
            except OSError:
                return
            for work, ends in ((back, (server, client)), (forth, (client, server))):
                threading.Thread(target=work, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield between
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
