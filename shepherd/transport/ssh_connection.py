"""An SSH session to one server, by whatever way leads there: TCP, a ProxyCommand, or through jump hosts.

Jump hosts are connected to once and shared by all that lie behind them.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from shepherd.errors import Unreachable
from shepherd.origin import printable
from shepherd.transport import paramiko_lazily, proxy_command
from shepherd.transport.dial import dial
from shepherd.transport.heartbeat import Heartbeat
from shepherd.transport.ssh_errors import Refused, Transient, about
from shepherd.transport.ssh_pipe import room_below
from shepherd.transport.threads import beside, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from shepherd.transport.ssh_session import Client
    from shepherd.transport.ssh_settings import Settings

# Handshakes at a time: each takes 4 ms of processor time here, and waits some 70 ms for the server.
HANDSHAKES = 2 * (os.cpu_count() or 1) + 12
AMPLE = 64 * 1024  # bytes free below: whoever sends a packet (32 KiB at most) does not wait, nor keep its lock
PEEK = 255  # the length of an SSH banner (RFC 4253, 4.2)


class Connection:
    """An authenticated session, and what has to be let go with it."""

    def __init__(self, client: Client, settings: Settings, release: Callable[[], None]) -> None:
        self.client = client
        self.settings = settings
        self._release = release
        self._reason = ""
        self._closed = False
        self._heard = client.heard
        self._missed = 0  # beats since something was heard
        self._silent = False
        state = _state()
        state.connections.add(self)
        self._heartbeat = state.heartbeat(settings.alive_interval) if settings.alive_interval else None
        if self._heartbeat is not None:
            self._heartbeat.watch(self)

    @property
    def alive(self) -> bool:
        return bool(self.client.is_active())

    def close(self) -> None:
        """End it and let go of the jump host before it. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._heartbeat is not None:
            self._heartbeat.forget(self)
        self.client.hang_up()
        self._release()

    def lost(self) -> Unreachable:
        """The error for a connection that broke, with the reason where there is one."""
        silent = self.silent()
        if silent is not None:
            return silent
        if not self._reason:
            problem = self.client.get_exception()
            self._reason = getattr(problem, "strerror", None) or self.client.farewell
        reason = f": {self._reason.lower()}" if self._reason else ""
        return Unreachable(f"{self.settings.name}: the SSH connection to {self.settings.where} was lost{reason}")

    def silent(self) -> Unreachable | None:
        """The error, where the connection was given up because nothing was heard any more."""
        if not self._silent:
            return None
        settings = self.settings
        seconds = self._missed * settings.alive_interval
        return Unreachable(
            f"{settings.name}: nothing was heard from {settings.where} for {seconds:g} seconds, so the connection was "
            "given up",
            hint="the machine or the way to it is down, or drops packets; a task that was under way may still be "
            "running there: look, then run the play again. For lines that are silent for longer, raise "
            "ServerAliveInterval or ServerAliveCountMax in ssh_config",
        )

    def beat(self) -> bool:
        """Called every alive_interval: hang up after too many without a packet, else ask for one."""
        if not self.alive:
            return False
        heard = self.client.heard
        if heard != self._heard:
            self._heard, self._missed = heard, 0
            return True
        self._missed += 1
        if self._missed > max(self.settings.alive_count, 1):
            self._silent = True
            self.client.hang_up()
            return False
        if room_below(self.client) >= AMPLE:
            self.client.ask()
        else:
            beside(self.client.ask)
        return True


def close_all() -> None:
    """End all connections of the running event loop."""
    for connection in list(_state().connections):
        connection.close()


async def connect(settings: Settings) -> Connection:
    """One attempt to connect and log in. Raises Transient where another may help, and other Unreachable."""
    try:
        stream, address, release = await _reach(settings)
        try:
            async with _state().handshakes:
                paramiko_lazily.load()
                from shepherd.transport.ssh_session import establish

                client = await establish(stream, settings, address)
        except BaseException:
            release()
            raise
    except Refused as problem:
        raise problem if problem.message.startswith(settings.name) else about(settings.name, problem) from None
    return Connection(client, settings, release)


async def _reach(settings: Settings) -> tuple[Any, str, Callable[[], None]]:
    """A byte stream to the server, its address for messages, and what lets go of the way there."""
    if settings.via is not None:
        return await _through(settings, settings.via)
    if settings.proxy_command is not None:
        try:
            proxy = proxy_command.start(settings.proxy_command)
        except OSError as problem:
            raise Refused(f"{settings.name}: cannot run the ProxyCommand: {problem.strerror}") from None
        await _hello(proxy, settings, proxy.complaint)
        return proxy, "by ProxyCommand", _nothing
    sock = await dial(settings)
    await _hello(sock, settings)
    return sock, str(sock.getpeername()[0]), _nothing


async def _hello(sock: socket.socket, settings: Settings, complaint: Callable[[], str] = str) -> None:
    """Wait for the server's first bytes, before a handshake slot is taken: a machine that hangs holds up nobody.
    Closes `sock` where none come."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), ready.set)
        try:
            async with asyncio.timeout(settings.timeout):
                await ready.wait()
        finally:
            loop.remove_reader(sock.fileno())
        said = sock.recv(PEEK, socket.MSG_PEEK)
    except BaseException as problem:
        sock.close()
        if isinstance(problem, TimeoutError):
            raise Transient(
                f"{settings.name}: {settings.where} took the connection and said nothing for {settings.timeout:g} "
                "seconds",
                hint="the machine is overloaded, or what listens on that port is no SSH server",
            ) from None
        if isinstance(problem, OSError):
            raise no_hello(settings, complaint() or (problem.strerror or "").lower()) from None
        raise
    if not said or said.startswith((b"Exceeded MaxStartups", b"Not allowed at this time")):
        # sshd says these in plain text and hangs up
        complained = complaint()
        sock.close()
        raise no_hello(settings, complained or printable(said.decode("utf-8", "replace").strip()))


def no_hello(settings: Settings, said: str = "") -> Unreachable:
    """For a server that took the connection and hung up, as one does that has too many logins under way."""
    if settings.proxy_command:
        return Transient(
            f"{settings.name}: the ProxyCommand ended before an SSH server answered" + (f": {said}" if said else ""),
            hint=f"try it by hand: {settings.proxy_command}",
        )
    return Transient(
        f"{settings.name}: {settings.where} closed the connection before its SSH banner"
        + (f": {said}" if said else ""),
        hint="a server does this when too many logins are under way (MaxStartups in its sshd_config), when it has "
        "banned this address, or when it is not sshd: raise MaxStartups, or work on fewer hosts at a time (--forks)",
    )


# Jump hosts


@dataclass
class _Shared:
    """A jump host's connection, under way or made, and how many hosts use it."""

    task: asyncio.Task[Connection]
    users: int = 0


class _LoopState:
    """What the connections of one event loop have in common."""

    def __init__(self) -> None:
        self.handshakes = asyncio.Semaphore(HANDSHAKES)
        self.jumps: dict[Settings, _Shared] = {}
        self.connections: WeakSet[Connection] = WeakSet()
        self._heartbeats: dict[float, Heartbeat] = {}

    def heartbeat(self, interval: float) -> Heartbeat:
        return self._heartbeats.setdefault(interval, Heartbeat(interval))


_states: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopState] = WeakKeyDictionary()


def _state() -> _LoopState:
    return _states.setdefault(asyncio.get_running_loop(), _LoopState())


async def _through(settings: Settings, jump: Settings) -> tuple[Any, str, Callable[[], None]]:
    """A channel to the server through its jump host."""
    shared, release = _acquire(jump)
    try:
        try:
            connection = await asyncio.shield(shared.task)
        except Unreachable as problem:
            raise about(settings.name, problem) from None
        channel = await in_thread(_forward, connection, settings)
    except BaseException:
        release()
        raise
    return channel, f"through {jump.host}", release


def _acquire(jump: Settings) -> tuple[_Shared, Callable[[], None]]:
    jumps = _state().jumps
    shared = jumps.get(jump)
    if shared is None or (shared.task.done() and not _usable(shared.task)):
        shared = jumps[jump] = _Shared(asyncio.get_running_loop().create_task(connect(jump)))
    shared.users += 1

    def release() -> None:
        shared.users -= 1
        if shared.users:
            return
        if jumps.get(jump) is shared:
            del jumps[jump]
        if not shared.task.done():
            shared.task.cancel()
        elif not shared.task.cancelled() and shared.task.exception() is None:
            shared.task.result().close()

    return shared, release


def _usable(task: asyncio.Task[Connection]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().alive


def _forward(connection: Connection, settings: Settings) -> Any:
    import paramiko

    jump = connection.settings
    try:
        return connection.client.open_channel(
            "direct-tcpip", (settings.host, settings.port), ("127.0.0.1", 0), timeout=settings.timeout
        )
    except paramiko.ChannelException as problem:
        forbidden = problem.code == 1  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED, RFC 4254, 5.1
        raise (Refused if forbidden else Transient)(
            f"{settings.name}: the jump host {jump.where} cannot connect to {settings.host} port {settings.port}: "
            f"{problem.text.lower()}",
            hint="its sshd_config forbids it (AllowTcpForwarding, PermitOpen)"
            if forbidden
            else "does the name resolve on the jump host, and is the machine up?",
        ) from None
    except (paramiko.SSHException, EOFError, OSError) as problem:
        text = printable(str(problem)).lower().rstrip(".") or "the connection was lost"
        raise Transient(f"{settings.name}: no way through the jump host {jump.where}: {text}") from None


def _nothing() -> None:
    """A way that needs no letting go."""
