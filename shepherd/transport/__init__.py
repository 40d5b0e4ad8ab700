"""Byte pipes to hosts. `Transport` and `Pipe` are the one narrow seam: ssh, local and the tests' fake are behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from shepherd.errors import Unreachable


class Endpoint(NamedTuple):
    """Where and how to connect. Hashable: one connection is kept for each distinct endpoint.

    `password` and everything secret stays out of repr. `port` None: ssh_config decides, then 22. `ssh_args` are the
    words of ansible_ssh_common_args and ansible_ssh_extra_args that have a meaning here (-o, -J, -i, -p, -F, -l).
    """

    host: str  # the inventory's name, for messages
    address: str
    kind: str = "ssh"  # or "local"
    port: int | None = None
    user: str | None = None
    password: Secret | None = None
    private_key_file: str | None = None
    ssh_args: tuple[str, ...] = ()
    timeout: float = 10.0  # seconds to connect
    alive_interval: float = 15.0  # seconds; see heartbeat.py; 0 is off, and a ServerAliveInterval wins
    host_key_checking: bool = True
    directory: str | None = None  # of this machine: where local commands run


class Secret(str):
    """A string that does not show itself."""

    def __repr__(self) -> str:
        return "'***'"


class Pipe(Protocol):
    """A command running at the far end: its standard input to write to, its output as callbacks."""

    def start(self, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Begin to deliver output, in the thread of the event loop that calls this."""

    async def write(self, data: bytes) -> None:
        """Send `data` in one write where it fits; waits while the far end is slow. Raises Unreachable when broken."""

    @property
    def errors(self) -> bytes:
        """What the command wrote to standard error so far (the last 64 KiB)."""

    def silent(self) -> Unreachable | None:
        """The error, where the connection was given up because nothing was heard any more."""

    async def wait(self) -> int | None:
        """The exit status once the command has ended; None where the connection broke first."""

    def close(self) -> None:
        """End it now. May be called twice."""


class Transport(Protocol):
    """A connection to a host."""

    async def connect(self) -> None:
        """Connect and authenticate. Raises Unreachable with what was tried and what to do."""

    async def open(self, command: str) -> Pipe:
        """Start `command` by the login shell of the remote user."""

    def close(self) -> None:
        """End the connection. May be called twice."""


def prepare(endpoint: Endpoint) -> None:
    """Import what connecting needs: a tenth of a second for SSH."""
    if endpoint.kind == "ssh":
        from shepherd.transport import paramiko_lazily

        paramiko_lazily.load()


def transport_for(endpoint: Endpoint) -> Transport:
    """The transport of the endpoint's kind, not yet connected."""
    if endpoint.kind == "local":
        from shepherd.transport.local import LocalTransport

        return LocalTransport(endpoint)
    from shepherd.transport.ssh import SshTransport

    return SshTransport(endpoint)
