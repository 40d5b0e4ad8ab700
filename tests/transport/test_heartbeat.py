"""Connections on which nothing is heard: asked for a sign of life, given up without one, else kept for ever."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from ssh_servers import needs_sshd, run

from shepherd import sources
from shepherd.errors import Unreachable
from shepherd.link import Link
from shepherd.transport import Endpoint
from shepherd.transport.heartbeat import Heartbeat
from shepherd.transport.ssh import SshTransport
from shepherd.transport.ssh_settings import settings_for

SILENT = 'SPEC = {"options": {}}\n\n\ndef run(task):\n    import time\n    time.sleep(100)\n'


def limited(main):
    return asyncio.run(asyncio.wait_for(main, 60))


@needs_sshd
@pytest.mark.parametrize("written", ["inventory", "setting"])
def test_a_host_that_vanishes_in_a_task(front, endpoint, tmp_path, written):
    """No goodbye, no reset: the relay keeps both its connections and passes nothing on."""
    server, port, frozen, _ = front
    arguments = ("-o", f"HostKeyAlias={server.address}", "-o", "ServerAliveCountMax=2")
    if written == "inventory":
        arguments = (*arguments, "-o", "ServerAliveInterval=1")
    interval = 0.5 if written == "setting" else 3600.0
    (tmp_path / "silent.py").write_text(SILENT)

    async def main():
        transport = SshTransport(endpoint(server, port=port, ssh_args=arguments, alive_interval=interval))
        await transport.connect()
        try:
            link = await Link.open(transport)
            task = asyncio.ensure_future(link.run(sources.module(tmp_path / "silent.py", "silent"), {}))
            await link.ping()
            frozen.set()
            with pytest.raises(Unreachable) as caught:
                await task
            for again in (link.ping(), transport.open("true")):
                with pytest.raises(Unreachable, match="nothing was heard"):
                    await again
            return caught.value
        finally:
            transport.close()

    problem = limited(main())
    silence = "1.5" if written == "setting" else "3"
    assert problem.message == (
        f"web1: nothing was heard from 127.0.0.1 port {port} for {silence} seconds, so the connection was given up"
    )
    assert problem.exit_code == 4
    for advice in ("may still be running", "run the play again", "ServerAliveInterval"):
        assert advice in problem.hint


@needs_sshd
def test_a_write_under_way_when_a_host_hangs(server, endpoint):
    """The server's processes are stopped: its kernel takes what it can, acknowledges it, and answers every probe."""

    async def main():
        before = set(server.sessions())
        transport = SshTransport(endpoint(server, alive_interval=0.3))
        await transport.connect()
        sessions = set(server.sessions()) - before
        try:
            pipe = await transport.open("cat > /dev/null")
            closed = asyncio.Event()
            pipe.start(lambda data: None, closed.set)
            for pid in sessions:
                os.kill(pid, signal.SIGSTOP)
            with pytest.raises(Unreachable, match=r"nothing was heard from .* for 1\.2 seconds"):
                await pipe.write(bytes(32 * 1024 * 1024))
            await closed.wait()
            assert pipe.silent() is not None
        finally:
            for pid in sessions:
                os.kill(pid, signal.SIGCONT)
            transport.close()

    limited(main())


@needs_sshd
def test_a_silent_task_on_a_host_that_lives_goes_on(server, endpoint):
    """It outlives many beats, each of which is answered by the server and not by the task."""

    async def main():
        transport = SshTransport(endpoint(server, alive_interval=0.05))
        await transport.connect()
        client = transport._connection.client
        try:
            pipe = await transport.open("read line; echo got $line")
            output = bytearray()
            closed = asyncio.Event()
            pipe.start(output.extend, closed.set)
            answered = client.heard + 40
            while client.heard < answered:
                assert pipe.silent() is None
                await asyncio.sleep(0.01)
            await pipe.write(b"it\n")
            await closed.wait()
            return bytes(output), await pipe.wait()
        finally:
            transport.close()

    assert limited(main()) == (b"got it\n", 0)


@needs_sshd
def test_whoever_talks_is_not_asked(server, endpoint):
    async def main():
        transport = SshTransport(endpoint(server, alive_interval=3600.0))
        await transport.connect()
        connection = transport._connection
        asked = []
        connection.client.ask = lambda: asked.append(1)
        try:
            for _ in range(3):
                assert (await run(transport, "echo here"))[0] == b"here\n"
                assert connection.beat()
            assert not asked
            assert connection.beat()
            assert len(asked) == 1
        finally:
            transport.close()
        assert not connection.beat()

    limited(main())


class Beaten:
    def __init__(self, beats):
        self.left = beats
        self.done = asyncio.Event()

    def beat(self):
        self.left -= 1
        if not self.left:
            self.done.set()
        return self.left > 0


def test_one_timer_for_all():
    async def main():
        loop = asyncio.get_running_loop()
        timers = []
        real = loop.call_later

        def call_later(delay, *rest):
            timers.append(delay)
            return real(delay, *rest)

        loop.call_later = call_later
        heart = Heartbeat(0.01)
        several = [Beaten(3) for _ in range(50)]
        for each in several:
            heart.watch(each)
        await asyncio.gather(*(each.done.wait() for each in several))
        await asyncio.sleep(0)
        assert len(timers) == 4  # one to begin with, and one for each beat
        assert heart._timer is None  # nothing is left to watch

    limited(main())


CASES = {  # lines of ssh_config, arguments → interval and count
    "nothing is said": ("", (), 15.0, 3),
    "ssh_config": ("ServerAliveInterval 1m\nServerAliveCountMax 5\n", (), 60.0, 5),
    "a count alone": ("ServerAliveCountMax 8\n", (), 15.0, 8),
    "off": ("ServerAliveInterval 0\n", (), 0.0, 3),
    "the inventory wins": ("ServerAliveInterval 0\n", ("-o", "ServerAliveInterval=7"), 7.0, 3),
}


@pytest.mark.parametrize("case", CASES)
def test_who_decides(case, home):
    lines, arguments, interval, count = CASES[case]
    (home / ".ssh/config").write_text(f"{lines}Host web1\n  ProxyJump bastion\n")
    settings = settings_for(Endpoint("web1", "web1", ssh_args=arguments))
    assert (settings.alive_interval, settings.alive_count) == (interval, count)


def test_a_jump_host_is_watched_too():
    settings = settings_for(Endpoint("web1", "web1", ssh_args=("-J", "bastion"), alive_interval=4.0))
    assert settings.via is not None
    assert settings.via.alive_interval == settings.alive_interval == 4.0
