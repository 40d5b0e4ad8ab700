"""SSH transports: one connection per endpoint, made with paramiko under asyncio, tried again where that may help."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING, Any

from shepherd.errors import Unreachable
from shepherd.transport import ssh_connection
from shepherd.transport.agent import serve as serve_agent
from shepherd.transport.ssh_errors import Refused, Transient, about
from shepherd.transport.ssh_pipe import SshPipe
from shepherd.transport.ssh_settings import settings_for
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shepherd.transport import Endpoint
    from shepherd.transport.ssh_connection import Connection


class SshTransport:
    """A connection to a host over SSH. `retries` counts further attempts after a broken one, never after a refusal."""

    def __init__(self, endpoint: Endpoint, *, retries: int = 2) -> None:
        self.endpoint = endpoint
        self.retries = retries
        self._connection: Connection | None = None

    async def connect(self) -> None:
        """Connect and authenticate. Raises Unreachable with what was tried and what to do."""
        # in a thread, because it reads files and may run the commands of `Match exec`
        try:
            settings = await in_thread(settings_for, self.endpoint)
        except Refused as problem:
            raise about(self.endpoint.host, problem) from None
        for attempt in range(self.retries + 1):
            try:
                self._connection = await ssh_connection.connect(settings)
                return
            except Transient as problem:
                if attempt == self.retries:
                    if attempt:
                        problem.message += f" ({attempt + 1} attempts)"
                    raise
            await asyncio.sleep(_pause(attempt))

    async def open(self, command: str) -> SshPipe:
        """Start `command` by the login shell of the remote user."""
        connection = self._connection
        if connection is None:
            raise Unreachable(f"{self.endpoint.host}: not connected")
        channel = await in_thread(_start, connection, command)
        return SshPipe(channel, connection.lost, connection.silent)

    def close(self) -> None:
        """End the connection. May be called twice."""
        if self._connection is not None:
            self._connection.close()


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


def close_all() -> None:
    """End all connections of the running event loop, those of jump hosts too."""
    ssh_connection.close_all()


def _start(connection: Connection, command: str) -> Any:
    import paramiko

    if not connection.alive:
        raise connection.lost()
    settings = connection.settings
    try:
        channel = connection.client.open_session(timeout=settings.timeout)
        if settings.forward_agent and settings.agent_socket:
            # threads of the channel's own: what asks is a person's git, a few times
            channel.request_forward_agent(partial(serve_agent, path=settings.agent_socket))
        for name, value in settings.environment:
            channel.set_environment_variable(name, value)
        channel.exec_command(command)
    except paramiko.ChannelException as problem:
        raise Refused(
            f"{settings.name}: {settings.where} refused another session: {problem.text.lower()}",
            hint="MaxSessions in its sshd_config bounds the sessions of one connection",
        ) from None
    except (paramiko.SSHException, EOFError, OSError):
        raise connection.lost() from None
    return channel


def _pause(attempt: int) -> float:
    """Seconds before the next attempt: doubled each time, and spread so that many hosts do not come back at once."""
    return float(0.4 * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
