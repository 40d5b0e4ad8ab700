"""A command over a real SSH connection: its output, status, and what happens with a lot of data."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import socket
import threading
import time

import paramiko
import pytest
from ssh_servers import needs_sshd, run, try_command

from shepherd.errors import Unreachable
from shepherd.transport.ssh import SshTransport, connect_all
from shepherd.transport.ssh_pipe import room_below

pytestmark = needs_sshd


def test_output_errors_and_status(server, endpoint):
    assert try_command(endpoint(server), "echo out; echo err >&2; exit 7") == (b"out\n", b"err\n", 7)


def test_a_command_ended_by_a_signal_has_no_status(server, endpoint):
    assert try_command(endpoint(server), "kill -9 $$")[2] is None


def test_only_the_end_of_a_long_error_output_is_kept(server, endpoint):
    _, errors, status = try_command(endpoint(server), "seq 1 40000 >&2")
    assert status == 0
    assert len(errors) == 64 * 1024
    assert errors.endswith(b"39999\n40000\n")


def test_output_larger_than_the_window_arrives_whole(server, endpoint):
    size = 8 * 1024 * 1024
    output, _, status = try_command(endpoint(server), f"head -c {size} /dev/zero")
    assert (len(output), status) == (size, 0)


def test_input_larger_than_the_window_arrives_whole_and_in_order(server, endpoint):
    data = os.urandom(3 * 1024 * 1024) * 2

    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        try:
            pipe = await transport.open(f"head -c {len(data)} | sha256sum")
            output = bytearray()
            closed = asyncio.Event()
            pipe.start(output.extend, closed.set)
            pieces = [data[at : at + 50_000] for at in range(0, len(data), 50_000)]
            await asyncio.gather(*map(pipe.write, pieces))  # written together, sent in order
            await closed.wait()
            return output.split()[0].decode()
        finally:
            transport.close()

    assert asyncio.run(body()) == hashlib.sha256(data).hexdigest()


def test_small_writes_do_not_overtake_large_ones(server, endpoint):
    pieces = [bytes([n]) * (1_500_000 if n % 3 == 0 else 10) for n in range(12)]
    size = sum(map(len, pieces))

    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        try:
            pipe = await transport.open(f"head -c {size}")
            output = bytearray()
            closed = asyncio.Event()
            pipe.start(output.extend, closed.set)
            writes = []
            for piece in pieces:
                writes.append(asyncio.create_task(pipe.write(piece)))
                await asyncio.sleep(0.01)  # at many moments of the writes before
            await asyncio.gather(*writes)
            await closed.wait()
            return bytes(output)
        finally:
            transport.close()

    assert asyncio.run(body()) == b"".join(pieces)


def test_a_host_that_does_not_read_holds_up_nobody(server, endpoint):
    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        try:
            stuck = await transport.open("exec tail --pid=$PPID -f /dev/null")
            stuck.start(lambda data: None, lambda: None)
            write = asyncio.create_task(stuck.write(bytes(16 * 1024 * 1024)))
            turns = 0
            while turns < 1000:  # the loop goes on turning while the write waits
                await asyncio.sleep(0)
                turns += 1
            assert (await run(transport, "echo others go on"))[0] == b"others go on\n"
            assert not write.done()
            stuck.close()
            stuck.close()
            with pytest.raises(Unreachable):
                await write
        finally:
            transport.close()

    asyncio.run(asyncio.wait_for(body(), 30))


def test_several_commands_share_the_connection(server, endpoint):
    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        try:
            return await asyncio.gather(*(run(transport, f"echo {n}; ps -o ppid= -p $PPID") for n in range(5)))
        finally:
            transport.close()

    answers = asyncio.run(body())
    assert [output.split()[0] for output, _, _ in answers] == [b"0", b"1", b"2", b"3", b"4"]
    assert len({output.split()[1] for output, _, _ in answers}) == 1


def test_nothing_is_left_after_close(server, endpoint):
    def descriptors():
        return sorted(os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _open(name))

    def _open(name):
        return os.path.exists(f"/proc/self/fd/{name}")

    def transports():
        return [thread for thread in threading.enumerate() if "Client" in type(thread).__name__]

    try_command(endpoint(server))
    gc.collect()
    before = descriptors()
    for _ in range(3):
        try_command(endpoint(server))
        with pytest.raises(Unreachable):
            try_command(endpoint(server, user="nobody-of-that-name"))
    deadline = time.monotonic() + 5
    while transports() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert transports() == []
    assert descriptors() == before


def test_a_write_after_close_is_unreachable(server, endpoint):
    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        pipe = await transport.open("cat")
        closed = asyncio.Event()
        pipe.start(lambda data: None, closed.set)
        transport.close()
        transport.close()
        await closed.wait()
        with pytest.raises(Unreachable, match="web1"):
            await pipe.write(b"x")
        with pytest.raises(Unreachable):
            await transport.open("true")

    asyncio.run(body())


def test_a_connection_that_is_closed_has_no_room():
    """paramiko's thread may close the socket while the loop still has something to read."""
    near, far = socket.socketpair()
    with far:
        transport = paramiko.Transport(near)
        transport.clear_to_send.set()
        assert room_below(transport) > 0
        near.close()
        assert room_below(transport) <= 0


def test_many_at_once_and_the_failures_among_them(server, endpoint):
    good = [endpoint(server, host=f"web{n}") for n in range(12)]
    bad = endpoint(server, host="bad", user="nobody-of-that-name")

    async def body():
        found = await connect_all([*good, bad, good[0]])
        try:
            outputs = await asyncio.gather(*(run(found[one], "echo hi") for one in good))
        finally:
            for transport in found.values():
                if not isinstance(transport, Unreachable):
                    transport.close()
        return found, outputs

    found, outputs = asyncio.run(body())
    assert [output for output, _, _ in outputs] == [b"hi\n"] * 12
    assert isinstance(found[bad], Unreachable)


def test_environment_asked_for_in_the_configuration(sshd, known, endpoint, home, monkeypatch):
    server = sshd(AcceptEnv="SHEPHERD_TEST_*")
    known(server)
    monkeypatch.setenv("SHEPHERD_TEST_SENT", "a")
    (home / ".ssh/config").write_text("SendEnv SHEPHERD_TEST_*\nSetEnv SHEPHERD_TEST_SET='b c'\n")
    assert try_command(endpoint(server), "echo $SHEPHERD_TEST_SENT $SHEPHERD_TEST_SET")[0] == b"a b c\n"


@pytest.mark.parametrize(
    "option", ["Ciphers=aes256-ctr", "MACs=hmac-sha2-512", "KexAlgorithms=ecdh-sha2-nistp256", "Compression=yes"]
)
def test_algorithms_asked_for(server, endpoint, option):
    assert try_command(endpoint(server, ssh_args=("-o", option)))[0] == b"hello\n"


def test_fast_ciphers_come_first(server, endpoint):
    async def body():
        transport = SshTransport(endpoint(server))
        await transport.connect()
        try:
            return transport._connection.client.local_cipher
        finally:
            transport.close()

    assert asyncio.run(body()) == "aes128-gcm@openssh.com"
