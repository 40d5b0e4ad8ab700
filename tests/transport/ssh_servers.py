"""A real sshd on a loopback port, and short ways to use it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shepherd.transport.ssh import SshTransport

if TYPE_CHECKING:
    import threading

    from shepherd.transport import Endpoint

SSHD = "/usr/sbin/sshd"
needs_sshd = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists(SSHD), reason="needs root and OpenSSH's sshd, to start servers of its own"
)


def keygen(*arguments: str) -> str:
    return subprocess.run(["ssh-keygen", "-q", *arguments], check=True, capture_output=True, text=True).stdout


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    keygen("-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path))
    return path


class Sshd:
    """One server. `options` are lines of its sshd_config."""

    def __init__(self, folder: Path, host_key: Path, authorized: Path, **options: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.host_key = host_key
        self.port = free_port()
        self.log = folder / "log"
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": host_key,
            "AuthorizedKeysFile": authorized,
            "StrictModes": "no",
            "UsePAM": "no",
            "PidFile": folder / "pid",
            "LogLevel": "VERBOSE",
            "PermitRootLogin": "yes",
        } | options
        config = folder / "sshd_config"
        config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        before = self.log.read_text().count("Server listening") if self.log.exists() else 0
        # sshd wants an empty /run/sshd; a private /run leaves this machine's as it is
        self.process = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"',
                "sh",
                SSHD,
                "-D",
                "-f",
                str(self.folder / "sshd_config"),
                "-E",
                str(self.log),
            ],
            start_new_session=True,
        )
        wait_for(lambda: self.log.exists() and self.log.read_text().count("Server listening") > before)

    @property
    def address(self) -> str:
        return f"[127.0.0.1]:{self.port}"

    @property
    def public_key(self) -> str:
        return " ".join(Path(f"{self.host_key}.pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        return keygen("-l", "-f", str(self.host_key)).split()[1]

    def sessions(self) -> list[int]:
        """The processes that serve connections."""
        assert self.process is not None
        return children(self.process.pid)

    def cut(self) -> None:
        """End all connections without a goodbye."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            for child in children(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            pids = [pid for session in self.sessions() for pid in (*children(session), session)]
            self.process.terminate()
            self.process.wait(5)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


async def run(transport: SshTransport, command: str, data: bytes = b"") -> tuple[bytes, bytes, int | None]:
    """Output, errors and status of a command."""
    pipe = await transport.open(command)
    output = bytearray()
    closed = asyncio.Event()
    pipe.start(output.extend, closed.set)
    if data:
        await pipe.write(data)
    await closed.wait()
    status = await pipe.wait()
    return bytes(output), pipe.errors, status


def try_command(endpoint: Endpoint, command: str = "echo hello", **options) -> tuple[bytes, bytes, int | None]:
    """Connect, run one command, close."""

    async def body():
        transport = SshTransport(endpoint, **options)
        try:
            await transport.connect()
            return await run(transport, command)
        finally:
            transport.close()

    return asyncio.run(asyncio.wait_for(body(), 60))


def relay(connection: socket.socket, port: int, frozen: threading.Event) -> None:
    """Pass bytes between `connection` and `port` until either ends; once frozen keep both open and pass nothing."""
    with connection, socket.create_connection(("127.0.0.1", port)) as onward:
        while connection.fileno() >= 0:
            if frozen.is_set():
                time.sleep(0.01)
                continue
            # a closed socket is a ValueError to select, a reset one an OSError to recv
            with contextlib.suppress(ValueError):
                for ready in select.select([connection, onward], [], [], 0.05)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    (onward if ready is connection else connection).sendall(data)
