"""Uploads keep to a window: what else is asked of a link never waits behind more of them. Counted in pieces."""

import asyncio
import os
import shutil
import signal

import pytest
from links import go, linked, soon

from shepherd.become import Become
from shepherd.errors import Unreachable
from shepherd.link import GRANT, WINDOW
from shepherd.remote import wire

MIB = 1 << 20
TOTAL = 200 * MIB
SIZE = "return {'size': task.upload.seek(0, 2)}"
needs_sudo = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("sudo"), reason="needs root and sudo")


class Zeros:
    """A file of zeros that counts the pieces read of it. `size` None: it has no end."""

    def __init__(self, size=None):
        self.left = size
        self.pieces = 0

    def read(self, size):
        self.pieces += 1
        if self.left is None:
            return bytes(size)
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


async def end(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_request_waits_behind_a_window_at_most(probe):
    """200 MB are on their way; each of many requests finds its answer within two windows of them: one that was ahead
    of it, and one that was sent while its answer was."""

    async def main():
        async with linked() as link:
            upload = Zeros(TOTAL)
            sending = asyncio.ensure_future(link.run(probe(SIZE), {}, upload=upload))
            assert await soon(lambda: upload.pieces > 2 * WINDOW)
            worst = 0
            for _ in range(50):
                before = upload.pieces
                await link.ping()
                worst = max(worst, upload.pieces - before)
            assert not sending.done()
            assert worst <= 2 * WINDOW + GRANT
            assert await sending == {"size": TOTAL}

    go(main())


@needs_sudo
def test_no_more_is_read_than_a_window_of_what_nobody_takes(probe):
    """The second helper is stopped. The file is not read into memory, and the first helper answers, and so does
    another second one."""

    async def main():
        async with linked() as link:
            stopped, other = await link.become(Become("sudo")), await link.become(Become("sudo"))
            os.kill(stopped.hello["pid"], signal.SIGSTOP)
            try:
                uploads = [Zeros(20 * MIB), Zeros(20 * MIB)]
                module = probe(SIZE)
                sending = [asyncio.ensure_future(stopped.run(module, {}, upload=upload)) for upload in uploads]
                for _ in range(200):
                    await link.ping()
                    await other.ping()
                assert sum(upload.pieces for upload in uploads) == WINDOW + len(uploads)
            finally:
                os.kill(stopped.hello["pid"], signal.SIGCONT)
            await stopped.ping()
            assert await asyncio.gather(*sending) == [{"size": 20 * MIB}] * 2

    go(main())


def test_uploads_take_turns(probe):
    """Two that share a link come along at the same pace."""

    async def main():
        async with linked() as link:
            module = probe(SIZE)
            first, second = Zeros(), Zeros()
            tasks = [asyncio.ensure_future(link.run(module, {}, upload=upload)) for upload in (first, second)]
            assert await soon(lambda: first.pieces + second.pieces > 20 * WINDOW)
            assert abs(first.pieces - second.pieces) <= WINDOW
            await end(*tasks)

    go(main())


def test_the_window_survives_uploads_that_are_given_up(probe):
    """What was sent of them is taken too, whoever it was for."""

    async def main():
        async with linked() as link:
            module = probe(SIZE)
            for number in range(20):
                upload = Zeros()
                task = asyncio.ensure_future(link.run(module, {}, upload=upload))
                assert await soon(lambda upload=upload, number=number: upload.pieces > 2 + number * 3)
                waiting = asyncio.ensure_future(link.run(module, {}, upload=Zeros()))
                await link.ping()
                await end(task, waiting)
            assert await link.run(module, {}, upload=Zeros(20 * MIB)) == {"size": 20 * MIB}
            assert await soon(lambda: link._window._value > WINDOW - GRANT)

    go(main())


def test_uploads_that_wait_for_the_window_learn_that_the_link_broke(probe):
    async def main():
        async with linked() as link:
            os.kill(link.hello["pid"], signal.SIGSTOP)
            module = probe(SIZE)
            tasks = [asyncio.ensure_future(link.run(module, {}, upload=Zeros())) for _ in range(40)]
            for _ in range(5):
                await asyncio.sleep(0)
            os.kill(link.hello["pid"], signal.SIGKILL)
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, Unreachable) for each in found)

    go(main())


@pytest.mark.parametrize("size", [0, 1, wire.CHUNK - 1, wire.CHUNK, wire.CHUNK + 1, 40 * wire.CHUNK])
def test_sizes_around_a_piece(size, probe):
    module = probe("return {'size': len(task.upload.read())}")

    async def main():
        async with linked() as link:
            found = await asyncio.gather(*(link.run(module, {}, upload=Zeros(size)) for _ in range(3)))
            assert found == [{"size": size}] * 3

    go(main())
