"""Open the byte stream that SSH runs over: a TCP socket, or the socket of a ProxyCommand."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time

from shepherd.errors import Unreachable
from shepherd.transport.ssh_errors import Transient
from shepherd.transport.ssh_settings import Settings

# (name, value) of the kernel's dead-peer detection; a system that lacks one goes without it
_KEEPALIVE = ("TCP_KEEPIDLE", "TCP_KEEPINTVL")

_ADVICE = {
    errno.ECONNREFUSED: "the machine answers, but nothing listens on that port: is sshd running, is it the right port?",
    errno.EHOSTUNREACH: "there is no route to it: is the machine up, is the address right, is a VPN needed?",
    errno.ENETUNREACH: "this machine has no route to that network",
    errno.ETIMEDOUT: "nothing answered: is the machine up, does a firewall drop the packets?",
}


async def dial(settings: Settings) -> socket.socket:
    """A connected TCP socket to `settings.host`, its addresses tried in turn until the timeout. Raises Unreachable."""
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + settings.timeout
    addresses = await _resolve(settings)
    tried: list[str] = []
    last: OSError = OSError("no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        # a share for each address left, so that a dead first one leaves time for the second
        share = left / (len(addresses) - index)
        sock = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
        try:
            sock.setblocking(False)
            prepare(sock, settings)
            async with asyncio.timeout(share):
                await loop.sock_connect(sock, address)
        except (OSError, TimeoutError) as problem:
            sock.close()
            last = OSError(errno.ETIMEDOUT, "no answer") if isinstance(problem, TimeoutError) else problem
            tried.append(f"{address[0]}: {_reason(last)}")
            continue
        except BaseException:
            sock.close()
            raise
        return sock
    raise _not_connected(settings, tried, last)


def prepare(sock: socket.socket, settings: Settings) -> None:
    """No delay for small frames, and the kernel's own watch over a peer that is gone."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    interval = max(int(settings.alive_interval), 1) if settings.alive_interval else 60
    for name in _KEEPALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), interval)
    if hasattr(socket, "TCP_KEEPCNT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, max(settings.alive_count, 1))
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # for data that was sent and never acknowledged; in milliseconds
        sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * interval * (max(settings.alive_count, 1) + 1)
        )


async def _resolve(settings: Settings) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.timeout):
            found = await loop.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise Unreachable(
            f"{settings.name}: the name {settings.host!r} did not resolve within {settings.timeout:g} seconds",
            hint="the name server does not answer; set ansible_host to an address to do without it",
        ) from None
    except (socket.gaierror, UnicodeError) as problem:
        error = Transient if getattr(problem, "errno", None) == socket.EAI_AGAIN else Unreachable
        raise error(
            f"{settings.name}: the name {settings.host!r} does not resolve ({_reason(problem)})",
            hint="check the spelling in the inventory, or set ansible_host to its address",
        ) from None
    return found  # type: ignore[return-value]  # typeshed's address is wider than what SOCK_STREAM over IP gives


def _not_connected(settings: Settings, tried: list[str], last: OSError) -> Unreachable:
    where = f"{settings.host} port {settings.port}"
    if last.errno == errno.ETIMEDOUT:
        what = f"no answer from {where} within {settings.timeout:g} seconds"
    else:
        what = f"cannot connect to {where}: {_reason(last)}"
    if len(tried) > 1:
        what += f" (tried {'; '.join(tried)})"
    return Unreachable(f"{settings.name}: {what}", hint=_ADVICE.get(last.errno or 0))


def _reason(problem: OSError | UnicodeError) -> str:
    if isinstance(problem, OSError) and problem.errno and problem.errno > 0:
        return os.strerror(problem.errno).lower()
    return str(getattr(problem, "strerror", None) or problem).lower()
