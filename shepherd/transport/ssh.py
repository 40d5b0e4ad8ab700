"""SSH connections: one per endpoint, made with paramiko under asyncio, tried again where that may help."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shepherd.errors import Unreachable
from shepherd.transport import Endpoint, paramiko_lazily
from shepherd.transport.dial import dial
from shepherd.transport.ssh_errors import Refused, Transient
from shepherd.transport.ssh_pipe import SshPipe
from shepherd.transport.ssh_settings import Settings, settings_for

if TYPE_CHECKING:
    from shepherd.transport.ssh_session import Client

# Handshakes at a time: each takes 4 ms of processor time here and some 70 ms of waiting for the server.
HANDSHAKES = 2 * (os.cpu_count() or 1) + 12
_slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


class SshTransport:
    """A connection to a host over SSH. `retries` counts further attempts after a broken one, never after a refusal."""

    def __init__(self, endpoint: Endpoint, *, retries: int = 2) -> None:
        self.endpoint = endpoint
        self.retries = retries
        self._client: Client | None = None
        self._settings: Settings | None = None

    async def connect(self) -> None:
        """Connect and authenticate. Raises Unreachable with what was tried and what to do."""
        settings = self._settings = settings_for(self.endpoint)
        for attempt in range(self.retries + 1):
            try:
                self._client = await self._connect(settings)
                return
            except Transient as problem:
                if attempt == self.retries:
                    if attempt:
                        problem.message += f" ({attempt + 1} attempts)"
                    raise
                await asyncio.sleep(_pause(attempt))

    async def open(self, command: str) -> SshPipe:
        """Start `command` by the login shell of the remote user."""
        channel = await asyncio.get_running_loop().run_in_executor(None, self._open, command)
        return SshPipe(channel, self._lost)

    def close(self) -> None:
        """End the connection. May be called twice."""
        if self._client is not None:
            from shepherd.transport.ssh_session import hang_up

            hang_up(self._client)

    async def _connect(self, settings: Settings) -> Client:
        sock = await dial(settings)
        try:
            await _readable(sock, settings.timeout)
        except BaseException:
            sock.close()
            raise
        async with _handshake_slot():
            paramiko_lazily.load()
            from shepherd.transport.ssh_session import establish

            return await establish(sock, settings, f"{settings.host} port {settings.port}", str(sock.getpeername()[0]))

    def _open(self, command: str) -> Any:
        import paramiko

        client = self._client
        if client is None or not client.is_active():
            raise self._lost()
        try:
            channel = client.open_session(timeout=self.endpoint.timeout)
            channel.exec_command(command)
        except paramiko.ChannelException as problem:
            raise Refused(
                f"{self.endpoint.host}: the server refused another session: {problem.text}",
                hint="MaxSessions in its sshd_config bounds the sessions of one connection",
            ) from None
        except (paramiko.SSHException, EOFError, OSError):
            raise self._lost() from None
        return channel

    def _lost(self) -> Unreachable:
        """The error for a connection that broke, with the reason where there is one."""
        client = self._client
        problem = client.get_exception() if client is not None else None
        reason = getattr(problem, "strerror", None) or (client.farewell if client is not None else "")
        return Unreachable(f"{self.endpoint.host}: the SSH connection was lost" + (f": {reason}" if reason else ""))


async def connect_all(endpoints: Iterable[Endpoint]) -> dict[Endpoint, SshTransport | Unreachable]:
    """Connect to all at the same time; the error in the place of those that could not be reached."""

    async def one(endpoint: Endpoint) -> SshTransport | Unreachable:
        transport = SshTransport(endpoint)
        try:
            await transport.connect()
        except Unreachable as problem:
            return problem
        return transport

    distinct = list(dict.fromkeys(endpoints))
    return dict(zip(distinct, await asyncio.gather(*map(one, distinct)), strict=True))


def _pause(attempt: int) -> float:
    """Seconds before the next attempt: doubled each time, and spread so that many hosts do not come back at once."""
    return 0.4 * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311  # no secret


def _handshake_slot() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    if loop not in _slots:
        for ended in [other for other in _slots if other.is_closed()]:
            del _slots[ended]
        _slots[loop] = asyncio.Semaphore(HANDSHAKES)
    return _slots[loop]


async def _readable(sock: Any, timeout: float) -> None:
    """Wait for the server's first bytes, without a handshake slot: a machine that hangs holds up nobody."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock.fileno(), ready.set)
    try:
        async with asyncio.timeout(timeout):
            await ready.wait()
    except TimeoutError:
        pass  # the handshake will say it
    finally:
        loop.remove_reader(sock.fileno())
