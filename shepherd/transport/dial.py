"""Open a TCP connection: the host's addresses tried in turn, small frames sent at once, a vanished peer noticed."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from shepherd.errors import Unreachable
from shepherd.transport.heartbeat import INTERVAL
from shepherd.transport.ssh_errors import Transient

if TYPE_CHECKING:
    from shepherd.transport.ssh_settings import Settings


_ADVICE = {
    errno.ECONNREFUSED: "the machine answers, but nothing listens on that port: is sshd running, is the port right?",
    errno.EHOSTUNREACH: "no way leads to it: is the machine up, is the address right, is a VPN needed?",
    errno.ENETUNREACH: "no way leads to that network from here: is the address right, is a VPN needed?",
    errno.ETIMEDOUT: "is the machine up, is the address right, does a firewall drop the packets?",
}


async def dial(settings: Settings) -> socket.socket:
    """A connected, non-blocking TCP socket to the host. Raises Unreachable."""
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + settings.timeout
    addresses = await _resolve(settings)
    tried: list[str] = []
    problem = OSError(errno.ETIMEDOUT, "no answer")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
        try:
            sock.setblocking(False)
            _prepare(sock, settings)
            if settings.bind_address:
                sock.bind((settings.bind_address, 0))
            # a share for each address left, so that a dead first one leaves time for the second
            async with asyncio.timeout(left / (len(addresses) - index)):
                await loop.sock_connect(sock, address)
        except OSError as failure:  # TimeoutError is one
            sock.close()
            problem = failure if failure.errno else OSError(errno.ETIMEDOUT, "no answer")
            tried.append(f"{address[0]}: {_reason(problem)}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise _not_connected(settings, tried, problem)


def _prepare(sock: socket.socket, settings: Settings) -> None:
    interval = max(int(settings.alive_interval or INTERVAL), 1)
    count = max(settings.alive_count, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", interval),
        ("TCP_KEEPALIVE", interval),  # macOS's name for it
        ("TCP_KEEPINTVL", interval),
        ("TCP_KEEPCNT", count),
        # milliseconds, for what was sent and never acknowledged; after heartbeat.py, which has more to say
        ("TCP_USER_TIMEOUT", 1000 * interval * (count + 2)),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def _resolve(settings: Settings) -> list[tuple[Any, ...]]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.timeout):
            return list(
                await loop.getaddrinfo(
                    settings.host, settings.port, family=settings.address_family, type=socket.SOCK_STREAM
                )
            )
    except TimeoutError:
        raise Unreachable(
            f"{settings.name}: the name {settings.host!r} did not resolve within {settings.timeout:g} seconds",
            hint="the name server does not answer; set ansible_host to an address to do without it",
        ) from None
    except (socket.gaierror, UnicodeError) as problem:
        later = isinstance(problem, socket.gaierror) and problem.errno == socket.EAI_AGAIN
        raise (Transient if later else Unreachable)(
            f"{settings.name}: the name {settings.host!r} does not resolve: {_reason(problem)}",
            hint="check the spelling in the inventory, or set ansible_host to its address",
        ) from None


def _not_connected(settings: Settings, tried: list[str], problem: OSError) -> Unreachable:
    if problem.errno == errno.ETIMEDOUT:
        what = f"no answer from {settings.where} within {settings.timeout:g} seconds"
    else:
        what = f"cannot connect to {settings.where}: {_reason(problem)}"
    if len(tried) > 1:
        what += f" ({'; '.join(tried)})"
    return Unreachable(f"{settings.name}: {what}", hint=_ADVICE.get(problem.errno or 0))


def _reason(problem: OSError | UnicodeError) -> str:
    if isinstance(problem, OSError) and problem.errno and problem.errno > 0:
        return os.strerror(problem.errno).lower()  # asyncio's own text names the address a second time
    return str(getattr(problem, "strerror", None) or problem).lower()
