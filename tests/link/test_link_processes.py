"""The processes of runs: when they are ended, and the one that is forked ahead."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from links import go, linked, some_pythons, soon

from shepherd import sources

# Time and cancelling

STUBBORN = """
import signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "100"], preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
open(task.args["file"], "w").write(str(child.pid))
time.sleep(100)
"""


TIDY = """
import subprocess, time
child = subprocess.Popen(["sleep", "100"])
try:
    open(task.args["file"], "w").write(str(child.pid))
    time.sleep(100)
finally:
    open(task.args["file"] + ".tidied", "w").close()
"""


@pytest.mark.parametrize("body", [STUBBORN, TIDY], ids=["stubborn", "tidy"])
def test_a_timeout_ends_the_whole_group(body, probe, tmp_path):
    async def main():
        async with linked() as link:
            result = await link.run(probe(body), {"file": str(tmp_path / "pid")}, timeout=1)
            assert result["failed"] and result["timedout"] == {"period": 1}
            assert await soon(lambda: not _alive(int((tmp_path / "pid").read_text())))
            await link.ping()
        assert (tmp_path / "pid.tidied").exists() == (body is TIDY)

    go(main())


@pytest.mark.parametrize("body", [STUBBORN, TIDY], ids=["stubborn", "tidy"])
def test_cancelling_ends_the_whole_group(body, probe, tmp_path):
    pid = tmp_path / "pid"

    async def main():
        async with linked() as link:
            task = asyncio.ensure_future(link.run(probe(body), {"file": str(pid)}))
            assert await soon(lambda: pid.exists() and pid.read_text())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await soon(lambda: not _alive(int(pid.read_text())))
            await link.ping()
        assert (tmp_path / "pid.tidied").exists() == (body is TIDY)

    go(main())


def test_a_timeout_that_is_not_reached_costs_nothing(ping):
    async def main():
        async with linked() as link:
            start = time.monotonic()
            assert (await link.run(ping, {"data": "x"}, timeout=30))["ping"] == "x"
            assert time.monotonic() - start < 20

    go(main())


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_sources_are_sent_once(ping):
    async def main():
        async with linked() as link:
            await link.run(ping, {"data": "x"})
            assert not link.lacking(ping)
            assert ping is sources.module(ping.path, "ping")

    go(main())


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def alive(pid):
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty: ended, but not yet reaped
    except FileNotFoundError:
        return False


async def spare_of(link, last):
    """The process that the helper forked ahead, once the `last` one is reaped."""
    pid = link.hello["pid"]
    seen: list[str] = []

    def is_alone() -> bool:
        seen[:] = children(pid)  # one look: between two of them the last one is reaped
        return len(seen) == 1 and seen != [str(last)]

    assert await soon(is_alone)
    return int(seen[0])


@pytest.mark.parametrize("python", some_pythons())
def test_the_next_process_is_forked_ahead(python, probe):
    """… and takes the next run, however long its request, but not where it would lack what was sent since."""
    who = "import os; return {'pid': os.getpid(), 'leads': os.getpgrp() == os.getpid(), 'n': len(task.args['x'])}"

    async def main():
        async with linked(python) as link:
            module = probe(who)
            for size in (1, 2):
                ran = await link.run(module, {"x": "x" * size})
            for size in (3, 300_000):  # more than a pipe holds
                spare = await spare_of(link, ran["pid"])
                ran = await link.run(module, {"x": "x" * size})
                assert ran == {"pid": spare, "leads": True, "n": size}
            spare = await spare_of(link, ran["pid"])
            ran = await link.run(probe(who.replace("'n'", "'m'")), {"x": "x"})
            assert ran["m"] == 1 and ran["pid"] != spare
            os.kill(await spare_of(link, ran["pid"]), signal.SIGKILL)
            await link.ping()
            ran = await link.run(module, {"x": "y"}, upload=b"z")  # this needs another process
            assert ran["n"] == 1
            spare = await spare_of(link, ran["pid"])
            os.kill(link.hello["pid"], signal.SIGKILL)
            assert await soon(lambda: not alive(spare))

    go(main())
