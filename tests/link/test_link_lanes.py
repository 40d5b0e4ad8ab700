"""Runs of one lane follow one another; a process that nothing was left in serves the next run."""

import asyncio
import os

import pytest
from links import go, linked, soon

from shepherd import sources
from shepherd.spec import find, load_spec

PID = "import os; return {'pid': os.getpid()}"


def own(name):
    return sources.module(find(name), name)


def command(script, **more):
    return load_spec("shell").normalise({"cmd": script, **more})


async def at_once(link, module, several, **keywords):
    return await asyncio.gather(*(link.run(module, args, **keywords) for args in several))


def test_a_lane_keeps_the_order(probe, tmp_path):
    """The first takes longest: only an order of turns explains what is written."""
    log = tmp_path / "log"
    body = "import time; time.sleep(task.args['wait']); open(%r, 'a').write(task.args['name'])" % str(log)  # noqa: UP031
    module = probe(f"{body}; return {{}}")
    runs = [{"wait": 0.2, "name": "a"}, {"wait": 0.05, "name": "b"}, {"wait": 0, "name": "c"}]

    async def main():
        async with linked() as link:
            await at_once(link, module, runs, lane=1)
            assert log.read_text() == "abc"
            await at_once(link, module, runs)
            assert log.read_text() == "abccba"

    go(main())


def test_what_waits_can_be_cancelled(probe, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    module = probe("open(task.args['path']).read(); return {'done': task.args['name']}")

    async def main():
        async with linked() as link:
            first, second, third = [
                asyncio.create_task(
                    link.run(module, {"path": str(fifo) if at == 0 else os.devnull, "name": at}, lane=1)
                )
                for at in range(3)
            ]
            await link.ping()
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            await link.ping()
            fifo.write_text("go")
            assert (await first)["done"] == 0 and (await third)["done"] == 2

    go(main())


ENDINGS = {"crash": "1 / 0", "exit": "os._exit(3)", "signal": "os.kill(os.getpid(), 9)", "failure": "task.fail('no')"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_lane_goes_on_after_one_that_ends_badly(probe, ending):
    module = probe(f"import os\nif task.args['bad']: {ENDINGS[ending]}\nreturn {{'pid': os.getpid()}}")

    async def main():
        async with linked() as link:
            good, bad, last = await at_once(link, module, [{"bad": False}, {"bad": True}, {"bad": False}], lane=1)
            assert bad["failed"] and good["pid"] != last["pid"]
            assert (await link.run(module, {"bad": False}, lane=2))["pid"]

    go(main())


def test_a_module_of_the_user_has_a_process_to_itself(probe):
    async def main():
        async with linked() as link:
            found = await at_once(link, probe(PID), [{}] * 4, lane=1)
            assert len({result["pid"] for result in found}) == 4

    go(main())


def test_the_items_of_a_lane_share_a_process_and_find_it_as_it_was(tmp_path):
    script = "echo $PPID; pwd; echo =$COLOUR"
    several = [command(script), command(script, chdir=str(tmp_path)), command(script)]

    async def main():
        async with linked() as link:
            shell = own("shell")
            await link.run(shell, command("true"))
            environments = [None, {"COLOUR": "red"}, None]
            found = await asyncio.gather(
                *(
                    link.run(shell, args, environment=environment, lane=7)
                    for args, environment in zip(several, environments, strict=True)
                )
            )
            lines = [result["stdout"].split("\n") for result in found]
            assert len({parent for parent, *_ in lines}) == 1
            assert [folder for _, folder, *_ in lines] == [os.getcwd(), str(tmp_path), os.getcwd()]
            assert [colour for *_, colour in lines] == ["=", "=red", "="]

    go(main())


def test_a_process_whose_programs_have_ended_serves_the_next_run():
    async def main():
        async with linked() as link:
            shell = own("shell")
            parents = [(await link.run(shell, command("echo $PPID; sh -c 'true & wait'")))["stdout"] for _ in range(4)]
            assert len(set(parents[1:])) == 1

    go(main())


@pytest.mark.parametrize("how", ["cat <&4 &", "setsid cat <&4 &", "setsid sh -c 'cat <&4 & exit'"])
def test_a_process_that_left_a_program_running_serves_no_later_run(how, tmp_path):
    """What it left running must not be ended with a later run of another task, however far away it went."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)  # what is left running ends when this is closed
    script = f"echo $PPID; exec 4<{fifo} >/dev/null 2>&1; {how}"

    async def main():
        async with linked() as link:
            shell = own("shell")
            await link.run(shell, command("true"))
            try:
                parents = [(await link.run(shell, command(script)))["stdout"] for _ in range(3)]
                assert len(set(parents)) == 3
            finally:
                os.close(writer)

    go(main())


def test_what_a_task_left_running_outlives_the_timeout_of_the_next(tmp_path):
    mark = tmp_path / "pid"

    async def main():
        async with linked() as link:
            shell = own("shell")
            await link.run(shell, command(f"sleep 600 >/dev/null 2>&1 & echo $! > {mark}"))
            left = int(mark.read_text())
            try:
                late = await link.run(shell, command("sleep 60"), timeout=0.2)
                assert late["failed"] and late["timedout"]
                os.kill(left, 0)  # raises where it is gone
            finally:
                os.kill(left, 9)

    go(main())


def test_a_kept_process_knows_sources_that_came_later(ping, probe):
    async def main():
        async with linked() as link:
            assert await link.run(ping, {"data": "pong"})
            assert await link.run(ping, {"data": "pong"})
            assert (await link.run(probe(PID, name="late"), {}))["pid"]
            assert await soon(lambda: True)
            assert (await link.run(own("slurp"), {"src": "/etc/hostname"}))["content"]

    go(main())


@pytest.mark.parametrize("size", [0, 10, 100_000, 3_000_000])
def test_uploads_stay_with_their_run(size, tmp_path):
    """Small ones come through the pipe of a process that may be kept, large ones with a fork."""
    copy = own("copy")

    async def main():
        async with linked() as link:
            for number in range(3):
                content = bytes([65 + number]) * size
                args = {**load_spec("copy").normalise({"dest": str(tmp_path / "file")}), "_size": size}
                result = await link.run(copy, args, upload=content)
                assert not result.get("failed"), result
                assert (tmp_path / "file").read_bytes() == content

    go(main())


STATE = """import os
mask = os.umask(0)
os.umask(mask)
fds = len(os.listdir("/proc/self/fd"))
ids = [*os.getresuid(), *os.getresgid(), *os.getgroups()]
return {"umask": mask, "folder": os.getcwd(), "environment": dict(os.environ), "ids": ids, "fds": fds}"""

# module → its options; @ is a folder of the test's
TIDY = {
    "blockinfile": {"path": "@/file", "block": "a"},
    "copy": {"dest": "@/copy", "mode": "0600"},
    "file": {"path": "@/folder/inner", "state": "directory", "mode": "0700"},
    "find": {"paths": "@", "recurse": True},
    "group": {"name": "root"},
    "lineinfile": {"path": "@/file", "line": "b"},
    "ping": {},
    "replace": {"path": "@/file", "regexp": "a", "replace": "c"},
    "slurp": {"src": "@/file"},
    "stat": {"path": "@/file", "get_mime": False, "get_attributes": False},
    "tempfile": {"path": "@"},
    "user": {"name": "root"},
    "wait_for": {"path": "@/file"},
}


@pytest.mark.parametrize("name", TIDY)
def test_a_module_leaves_its_process_as_it_found_it(name, probe, tmp_path):
    (tmp_path / "file").write_text("a\n")
    here = {key: str(tmp_path) + value[1:] for key, value in TIDY[name].items() if str(value).startswith("@")}
    args = load_spec(name).normalise({**TIDY[name], **here})
    upload = b"content" if name == "copy" else None
    if upload:
        args["_size"] = len(upload)

    async def main():
        async with linked() as link:
            state = probe(STATE, name="state")
            fresh = await link.run(state, {})
            for _ in range(2):
                result = await link.run(own(name), dict(args), upload=upload)
                assert not result.get("failed"), result
                assert await link.run(state, {}) == fresh

    go(main())
