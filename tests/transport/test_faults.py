"""Servers that refuse, hang, or go away, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
import threading

import pytest
from ssh_servers import free_port, needs_sshd, relay, run, try_command, wait_for

from shepherd.errors import Unreachable
from shepherd.transport import Endpoint
from shepherd.transport.ssh import SshTransport, close_all, connect_all

pytestmark = needs_sshd


@contextlib.contextmanager
def listener(answer: bytes | None = None, *, count: int = 1000, backlog: int = 100):
    """A port that takes connections: says `answer` and hangs up, or with None holds them open and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        held: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                for _ in range(count):
                    connection, _ = server.accept()
                    if answer is None:
                        held.append(connection)
                        continue
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], held
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def attempt(port: int, *, retries: int = 0, **changes) -> Unreachable:
    changes = {"host": "web1", "address": "127.0.0.1", "port": port, "timeout": 5.0} | changes
    with pytest.raises(Unreachable) as caught:
        try_command(Endpoint(**changes), retries=retries)
    assert caught.value.message.startswith("web1: ")
    assert caught.value.exit_code == 4
    return caught.value


def test_refused():
    port = free_port()
    problem = attempt(port, retries=2)  # and not tried again
    assert problem.message == f"web1: cannot connect to 127.0.0.1 port {port}: connection refused"
    assert "is sshd running" in problem.hint


def test_a_name_that_does_not_resolve():
    problem = attempt(22, address="no-such-host.invalid")
    assert "the name 'no-such-host.invalid' does not resolve" in problem.message
    assert "ansible_host" in problem.hint


def test_no_answer():
    # a port whose queue is full drops what comes after, as a firewall does
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.1", port))
            problem = attempt(port, timeout=0.5)
    assert problem.message == f"web1: no answer from 127.0.0.1 port {port} within 0.5 seconds"


def test_the_second_address_of_a_name(server, endpoint, monkeypatch):
    real = socket.getaddrinfo
    closed = free_port()

    def two(host, port, *arguments, **options):
        found = real("127.0.0.1", port, *arguments, **options)
        return [(*found[0][:4], ("127.0.0.1", closed)), *found]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assert try_command(endpoint(server))[0] == b"hello\n"


def test_a_server_that_says_nothing():
    with listener() as (port, _):
        problem = attempt(port, timeout=0.3)
    assert problem.message == f"web1: 127.0.0.1 port {port} took the connection and said nothing for 0.3 seconds"


def test_a_server_that_hangs_up():
    with listener(b"") as (port, _):
        problem = attempt(port)
    assert "closed the connection before its SSH banner" in problem.message
    assert "MaxStartups" in problem.hint


@pytest.mark.parametrize("said", [b"Exceeded MaxStartups\r\n", b"Not allowed at this time\r\n"])
def test_a_server_that_says_why(said):
    with listener(said) as (port, _):
        assert said.decode().strip() in attempt(port).message


def test_a_service_that_is_not_ssh():
    with listener(b"220 mail.example.org ESMTP\r\n" * 101) as (port, _):
        assert "no SSH server" in attempt(port).message


def test_a_banner_cannot_drive_the_terminal():
    with listener(b"\x1b[2JSSH\r\n" * 101) as (port, _):
        assert "\x1b" not in attempt(port).render()


def test_a_handshake_that_stops_half_way():
    with listener(b"SSH-2.0-OpenSSH_9.2\r\n") as (port, _):
        assert f"the SSH handshake with 127.0.0.1 port {port} failed" in attempt(port).message


def test_an_old_protocol():
    with listener(b"SSH-1.5-old\r\n") as (port, _):
        assert "Incompatible version (1.5" in attempt(port).message


def test_no_algorithm_in_common(sshd, known, endpoint):
    server = sshd(Ciphers="chacha20-poly1305@openssh.com")
    known(server)
    with pytest.raises(Unreachable, match=r"share no algorithm.*ciphers") as caught:
        try_command(endpoint(server))
    assert "Ciphers" in caught.value.hint


def test_tried_again_until_it_works(sshd, known, endpoint):
    """A server that hangs up on the first two, as one does that is busy."""
    real = sshd()
    known(real)
    with socket.create_server(("127.0.0.1", 0)) as front:
        port = front.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                front.accept()[0].close()
            connection, _ = front.accept()
            relay(connection, real.port, threading.Event())

        thread = threading.Thread(target=serve)
        thread.start()
        alias = ("-o", f"HostKeyAlias={real.address}")
        assert try_command(endpoint(real, port=port, ssh_args=alias), retries=2)[0] == b"hello\n"
        thread.join()


def test_the_number_of_attempts_is_told():
    with listener(b"") as (port, _):
        assert attempt(port, retries=1).message.endswith("(2 attempts)")


def test_a_refused_login_is_not_tried_again(server, endpoint):
    before = server.log.read_text().count("Connection from")
    with pytest.raises(Unreachable):
        try_command(endpoint(server, private_key_file=None), retries=5)
    assert server.log.read_text().count("Connection from") == before + 1


def test_max_startups(sshd, known, endpoint):
    """A server that allows one login at a time, and 5 hosts that want in together: all get in by and by."""
    server = sshd(MaxStartups="1")
    known(server)

    async def body():
        transports = [SshTransport(endpoint(server, host=f"web{n}"), retries=12) for n in range(5)]
        try:
            await asyncio.gather(*(transport.connect() for transport in transports))
            return await asyncio.gather(*(run(transport, "echo in") for transport in transports))
        finally:
            for transport in transports:
                transport.close()

    assert [output for output, _, _ in asyncio.run(asyncio.wait_for(body(), 60))] == [b"in\n"] * 5


def test_max_startups_is_named(sshd, known, endpoint):
    server = sshd(MaxStartups="1")
    known(server)
    with socket.create_connection(("127.0.0.1", server.port)) as waiting:
        waiting.recv(100)
        problem = attempt(server.port)
    assert "MaxStartups" in problem.render()


def test_max_sessions(sshd, known, endpoint):
    server = sshd(MaxSessions="1")
    known(server)

    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        try:
            await transport.open("cat")
            with pytest.raises(Unreachable) as caught:
                await transport.open("cat")
            return caught.value
        finally:
            transport.close()

    assert "MaxSessions" in asyncio.run(body()).hint


# A connection that breaks


async def broken(transport: SshTransport, cut) -> None:
    """With a command running, `cut` the connection: the command's pipe must notice."""
    await transport.connect()
    try:
        pipe = await transport.open("cat")
        got = asyncio.Event()
        closed = asyncio.Event()
        pipe.start(lambda data: got.set(), closed.set)
        await pipe.write(b"x")
        await got.wait()
        cut()
        await closed.wait()
        assert await pipe.wait() is None
        for again in (pipe.write(b"y"), transport.open("true")):
            with pytest.raises(Unreachable, match=r"web1: the SSH connection to .* was lost"):
                await again
    finally:
        transport.close()


def test_a_session_killed_on_the_server(sshd, known, endpoint):
    server = sshd()
    known(server)
    asyncio.run(asyncio.wait_for(broken(SshTransport(endpoint(server)), server.cut), 30))


def test_a_write_under_way_when_the_connection_breaks(sshd, known, endpoint):
    server = sshd()
    known(server)

    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        try:
            pipe = await transport.open("exec tail --pid=$PPID -f /dev/null")
            pipe.start(lambda data: None, lambda: None)
            write = asyncio.create_task(pipe.write(bytes(16 * 1024 * 1024)))
            await asyncio.sleep(0.2)
            server.cut()
            with pytest.raises(Unreachable, match="was lost"):
                await write
        finally:
            transport.close()

    asyncio.run(asyncio.wait_for(body(), 30))


def test_a_connection_that_is_reset(front, endpoint):
    server, port, _, connections = front

    def reset() -> None:
        connections[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connections[0].close()

    transport = SshTransport(endpoint(server, port=port, ssh_args=("-o", f"HostKeyAlias={server.address}")))
    asyncio.run(asyncio.wait_for(broken(transport, reset), 30))


def test_the_kernel_watches_over_an_idle_connection(server, endpoint):
    async def body():
        transport = SshTransport(endpoint(server, ssh_args=("-o", "ServerAliveInterval=7")))
        await transport.connect()
        sock = transport._connection.client.sock
        options = [socket.TCP_NODELAY, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        try:
            return [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options], sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_KEEPALIVE
            )
        finally:
            transport.close()

    assert asyncio.run(body()) == ([1, 7, 7, 3], 1)


def test_a_process_that_ends_does_not_wait_for_a_hanging_server():
    with listener(b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(0)) as (port, _), listener() as (silent, _):
        code = f"""
import asyncio
from shepherd.transport import Endpoint
from shepherd.transport.ssh import connect_all
asyncio.run(connect_all(Endpoint("h", "127.0.0.1", port=port, timeout=0.3) for port in ({port}, {silent})))
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


def test_a_process_that_ends_does_not_wait_for_a_host_that_does_not_read(server, material, home):
    code = f"""
import asyncio, sys
from shepherd.transport import Endpoint
from shepherd.transport.ssh import SshTransport, close_all, connect_all

async def main():
    transport = SshTransport(Endpoint("h", "127.0.0.1", port={server.port}, user="root",
                                      private_key_file={str(material / "user")!r}))
    await transport.connect()
    pipe = await transport.open("exec tail --pid=$PPID -f /dev/null")
    pipe.start(print, print)
    write = asyncio.create_task(pipe.write(bytes(1 << 24)))
    await asyncio.wait([write], timeout=0.5)
    sys.exit(3)

asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 3


def test_all_are_closed_at_once(sshd, known, endpoint):
    server = sshd()
    known(server)

    async def body():
        await connect_all(endpoint(server, host=f"web{n}") for n in range(3))
        assert len(server.sessions()) == 3
        close_all()

    asyncio.run(body())
    wait_for(lambda: not server.sessions())
