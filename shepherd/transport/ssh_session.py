"""From a connected socket to an authenticated SSH session: key exchange, host key, login."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from shepherd.errors import Unreachable
from shepherd.origin import printable
from shepherd.transport import paramiko_lazily
from shepherd.transport.host_keys import HostKeys
from shepherd.transport.ssh_auth import Login
from shepherd.transport.ssh_errors import Refused, Transient
from shepherd.transport.ssh_pipe import Wakeup
from shepherd.transport.ssh_settings import Settings

paramiko_lazily.load()
import paramiko  # noqa: E402  # after it was loaded without the parts that cost time

# GCM is several times faster than the others here, and its integrity check is built in
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
IDLE_CHECK = 1.0  # seconds between looks of the transport thread at whether it should end; its default is 0.1


class Packets(paramiko.Packetizer):
    def start_handshake(self, timeout: float) -> None:
        """No timer thread for each handshake: `establish` keeps the time."""


class Client(paramiko.Transport):
    """paramiko's transport with our order of algorithms, and memory for what the server said when it hung up."""

    def __init__(self, sock: Any, settings: Settings, host_key_algorithms: tuple[str, ...]) -> None:
        super().__init__(sock, packetizer_class=Packets)
        self.farewell = ""
        self._host_key_algorithms = host_key_algorithms
        options = self.get_security_options()
        options.ciphers = _supported(settings.ciphers, self._cipher_info) or CIPHERS
        options.digests = _supported(settings.macs, self._mac_info) or MACS
        options.kex = _supported(settings.key_exchanges, self._kex_info) or options.kex
        self.banner_timeout = settings.timeout

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self._host_key_algorithms

    def _parse_disconnect(self, m: Any) -> None:
        m.get_int()
        self.farewell = printable(m.get_text())


async def establish(sock: Any, settings: Settings, where: str, address: str) -> Client:
    """Key exchange over `sock`, then the host key's check, then the login. Closes `sock` where it fails.

    `where` names the server in messages; `address` is what it was reached by. Raises Unreachable.
    """
    loop = asyncio.get_running_loop()
    keys = HostKeys(settings)
    client = Client(sock, settings, keys.algorithms())
    try:
        done = asyncio.Event()
        async with asyncio.timeout(settings.timeout):
            client.start_client(event=Wakeup(loop, done.set))  # type: ignore[arg-type]  # set() is all it calls
            await done.wait()
        if not client.is_active():
            raise _explain(client, settings, where)
        host_key = client.get_remote_server_key()
        blob = host_key.public_blob.key_blob if host_key.public_blob else host_key.asbytes()
        keys.check(blob, address)
        await Login(client, settings, where, passwords=not keys.doubtful).run()
        client.sock.settimeout(IDLE_CHECK)
        return client
    except TimeoutError:
        hang_up(client)
        raise Transient(
            f"{settings.name}: {where} accepted the connection but did not finish the SSH handshake within "
            f"{settings.timeout:g} seconds",
            hint="the machine is overloaded, or the path to it drops large packets (MTU)",
        ) from None
    except BaseException:
        hang_up(client)
        raise


def hang_up(client: Client) -> None:
    """End the connection and its thread. Never blocks."""
    # shutdown wakes the thread that reads; a close alone would leave it there until its next look
    with contextlib.suppress(OSError, AttributeError):
        client.sock.shutdown(socket.SHUT_RDWR) if isinstance(client.sock, socket.socket) else client.sock.close()
    client.close()
    client.sock.close()


def _supported(names: tuple[str, ...], known: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in names if name in known)


def _explain(client: Client, settings: Settings, where: str) -> Unreachable:
    problem = client.get_exception()
    text = printable(str(problem or ""))
    if isinstance(problem, paramiko.ssh_exception.IncompatiblePeer):
        return Refused(
            f"{settings.name}: {where} and this machine share no algorithm: {text}",
            hint="name one that both have with Ciphers, MACs, KexAlgorithms or HostKeyAlgorithms in ssh_config",
        )
    if "Indecipherable" in text:
        return Refused(f"{settings.name}: what listens at {where} is no SSH server: {text}")
    if client.farewell:
        return Transient(f"{settings.name}: {where} ended the connection: {client.farewell}")
    if not client.remote_version:
        return no_hello(settings, where)
    if isinstance(problem, EOFError) or problem is None:
        text = "the connection was closed"
    return Transient(f"{settings.name}: the SSH handshake with {where} failed: {text}")


def no_hello(settings: Settings, where: str, said: str = "") -> Unreachable:
    """For a server that took the connection and hung up, as one does that has too many logins under way."""
    what = f": it said {said!r}" if said else ""
    return Transient(
        f"{settings.name}: {where} closed the connection before its SSH banner{what}",
        hint="a server does this when too many logins are under way (MaxStartups in its sshd_config; of a jump host, "
        "if there is one), when it has banned this address, or when it is not sshd: "
        "raise MaxStartups or work on fewer hosts at a time (--forks)",
    )
