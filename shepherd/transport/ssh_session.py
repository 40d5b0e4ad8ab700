"""From a byte stream to an authenticated SSH session: key exchange, host key, login."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from shepherd.origin import printable
from shepherd.transport import paramiko_lazily
from shepherd.transport.algorithms import CIPHERS, MACS, choose
from shepherd.transport.host_keys import HostKeys
from shepherd.transport.ssh_auth import Login
from shepherd.transport.ssh_connection import no_hello
from shepherd.transport.ssh_errors import Refused, Transient
from shepherd.transport.ssh_pipe import Wakeup, room
from shepherd.transport.threads import beside

paramiko_lazily.load()
import paramiko  # noqa: E402  # after it was loaded without the parts that cost time
from paramiko.packet import Packetizer  # noqa: E402

if TYPE_CHECKING:
    from shepherd.errors import Unreachable
    from shepherd.transport.ssh_settings import Settings

IDLE_CHECK = 1.0  # seconds between looks of the transport thread at whether it should end; its default is 0.1


class Packets(Packetizer):
    heard = 0  # packets that came in

    def read_message(self) -> Any:
        found = super().read_message()
        self.heard += 1
        return found

    def start_handshake(self, timeout: float) -> None:
        """No timer thread for each handshake: `establish` keeps the time."""


class Client(paramiko.Transport):
    """paramiko's transport with our order of algorithms, and memory for what the server said when it hung up."""

    def __init__(self, sock: Any, settings: Settings, host_key_algorithms: tuple[str, ...]) -> None:
        super().__init__(sock, packetizer_class=Packets)
        self.farewell = ""
        self._host_key_algorithms = host_key_algorithms
        known: Any = self  # the tables of what paramiko can do are not in its type stubs
        options = self.get_security_options()
        options.ciphers = choose("Ciphers", settings.ciphers, CIPHERS, known._cipher_info)
        options.digests = choose("MACs", settings.macs, MACS, known._mac_info)
        options.kex = choose("KexAlgorithms", settings.key_exchanges, tuple(options.kex), known._kex_info)
        self.use_compression(settings.compression)
        self.banner_timeout = settings.timeout

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self._host_key_algorithms

    def _parse_disconnect(self, m: Any) -> None:
        m.get_int()
        self.farewell = printable(m.get_text())

    @property
    def heard(self) -> int:
        """How many packets have come in: while it grows, the other side is alive."""
        packets: Any = self.packetizer
        return int(packets.heard)

    def ask(self) -> None:
        """Ask for a sign of life, and do not wait for it: any server answers a request, if only that it knows none.

        paramiko's own `set_keepalive` wants no answer, and its `global_request` waits for one, in a thread.
        """
        message = paramiko.Message()
        message.add_byte(paramiko.common.cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self._send_user_message(message)  # type: ignore[attr-defined]  # not in its type stubs

    def hang_up(self) -> None:
        """End the connection and its thread. Never waits."""
        stream: Any = self.sock
        if isinstance(stream, socket.socket):
            # shutdown wakes the thread that reads; a close alone would leave it there until its next look
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        elif not stream.closed and room(stream) < 1024:  # a jump host's channel, and its goodbye would wait
            beside(self._close)
            return
        self._close()

    def _close(self) -> None:
        self.close()
        self.sock.close()


async def establish(stream: Any, settings: Settings, address: str) -> Client:
    """Key exchange over `stream`, then the host key's check, then the login. Closes `stream` where it fails.

    `address` is what the server was reached by, for messages. Raises Unreachable.
    """
    try:
        keys = HostKeys(settings)
        client = Client(stream, settings, keys.algorithms())
    except BaseException:
        stream.close()
        raise
    try:
        done = asyncio.Event()
        async with asyncio.timeout(settings.timeout):
            event: Any = Wakeup(asyncio.get_running_loop(), done.set)
            client.start_client(event=event)
            await done.wait()
        if not client.is_active():
            raise _explain(client, settings)
        shown: Any = client.get_remote_server_key()
        keys.check(shown.public_blob.key_blob if shown.public_blob else shown.asbytes(), address)
        await Login(client, settings, passwords=not keys.doubtful).run()
        client.sock.settimeout(IDLE_CHECK)
        return client
    except TimeoutError:
        client.hang_up()
        raise Transient(
            f"{settings.name}: {settings.where} accepted the connection but did not finish the SSH handshake within "
            f"{settings.timeout:g} seconds",
            hint="the machine is overloaded, or the path to it drops large packets (MTU)",
        ) from None
    except BaseException:
        client.hang_up()
        raise


def _explain(client: Client, settings: Settings) -> Unreachable:
    problem = client.get_exception()
    text = printable(str(problem or ""))
    if isinstance(problem, paramiko.ssh_exception.IncompatiblePeer):
        return Refused(
            f"{settings.name}: {settings.where} and this machine share no algorithm: {text}",
            hint="name one that both have with Ciphers, MACs, KexAlgorithms or HostKeyAlgorithms in ssh_config",
        )
    if "Indecipherable" in text:
        return Refused(f"{settings.name}: what listens at {settings.where} is no SSH server: {text}")
    if client.farewell:
        return Transient(f"{settings.name}: {settings.where} ended the connection: {client.farewell}")
    if not client.remote_version:
        return no_hello(settings)
    if isinstance(problem, EOFError) or problem is None:
        text = "the connection was closed"
    return Transient(f"{settings.name}: the SSH handshake with {settings.where} failed: {text}")
