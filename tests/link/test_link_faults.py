"""What goes wrong on the way: each is reported, and nothing is left behind on the target."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from links import eventually, go, linked, marked, some_pythons, soon

from shepherd import boot, sources
from shepherd.errors import NoPython, RemoteError, Unreachable
from shepherd.link import Link
from shepherd.transport import Endpoint
from shepherd.transport.local import LocalTransport

SLEEPER = """
import subprocess, time
child = subprocess.Popen(["sleep", "100"])
open(task.args["file"], "w").write(str(child.pid))
time.sleep(100)
"""


class Shell(LocalTransport):
    """This machine behind a login shell that is a program of the test's."""

    def __init__(self, *argv: str) -> None:
        super().__init__(Endpoint("web1", "localhost", kind="local"))
        self._argv = argv

    def argv(self, command: str) -> list[str]:
        return [*self._argv, command]


# Ends in the middle of a run


@pytest.mark.parametrize("python", some_pythons())
def test_the_helper_is_killed_in_a_run(python, probe, tmp_path):
    """The kernel ends the run's whole group, though nobody was left to do it."""

    async def main():
        async with linked(python) as link:
            task = asyncio.ensure_future(link.run(probe(SLEEPER), {"file": str(tmp_path / "pid")}))
            assert await soon((tmp_path / "pid").exists)
            os.kill(link.hello["pid"], signal.SIGKILL)
            with pytest.raises(Unreachable, match="here ended"):
                await task
            with pytest.raises(Unreachable):
                await link.ping()

    go(main())


CONTROLLER = """
import asyncio, sys
from shepherd import sources
from shepherd.link import Link
from shepherd.transport import Endpoint
from shepherd.transport.local import LocalTransport

async def main():
    transport = LocalTransport(Endpoint("here", "localhost", kind="local"))
    link = await Link.open(transport)
    module = sources.module(sys.argv[1], "probe")
    await asyncio.gather(*(link.run(module, {"file": f"{sys.argv[2]}{n}"}) for n in range(2)))

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_controller_dies_in_a_run(number, probe, tmp_path, nothing_left_behind):
    tidy = SLEEPER.replace(
        "time.sleep(100)", "try:\n    time.sleep(100)\nfinally:\n    open(task.args['file'] + '.tidied', 'w')"
    )
    files = [tmp_path / "pid0", tmp_path / "pid1"]
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, probe(tidy).path, str(tmp_path / "pid")], stderr=subprocess.DEVNULL
    )
    try:
        assert eventually(lambda: all(file.exists() and file.read_text() for file in files))
    finally:
        controller.send_signal(number)
        controller.wait()
    assert eventually(lambda: not marked(nothing_left_behind))
    assert all(Path(f"{file}.tidied").exists() for file in files)  # the modules could clean up after themselves


def test_the_connection_breaks_in_an_upload(probe, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()

    class Cut:
        """A file whose reading breaks the connection after some MiB."""

        def __init__(self, link):
            self.left, self.link = 100, link

        def read(self, size):
            self.left -= 1
            if not self.left:
                self.link.close()
            return b"x" * size

    async def main():
        async with linked() as link:
            with pytest.raises(Unreachable):
                await link.run(probe("return {}"), {}, upload=Cut(link))

    go(main())
    assert not list((tmp_path / "tmp").iterdir())


def test_reading_the_upload_fails_on_the_controller(probe):
    class Bad:
        def __init__(self):
            self.left = 3

        def read(self, size):
            self.left -= 1
            if not self.left:
                raise OSError("the disk is gone")
            return b"x" * size

    async def main():
        async with linked() as link:
            with pytest.raises(OSError, match="the disk is gone"):
                await link.run(probe("return {}"), {}, upload=Bad())
            await link.ping()

    go(main())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_no_room_for_an_upload(probe, tmp_path, monkeypatch):
    """A clean failure, early: not all of the content is read. The link goes on."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "full"))
    (tmp_path / "full").mkdir()
    mounts = "mount -t tmpfs -o size=2m none $0/full && cd /proc && "
    shell = Shell("unshare", "-m", "--propagation", "private", "sh", "-c", mounts + 'exec sh -c "$1"', str(tmp_path))
    read = 0

    class Endless:
        def read(self, size):
            nonlocal read
            read += size
            return b"x" * size if read < 200_000_000 else b""

    async def main():
        async with linked(transport=shell) as link:
            module = probe("return {'size': len(task.upload.read())}")
            result = await link.run(module, {}, upload=Endless())
            assert result["failed"] and "No space left on device" in result["msg"]
            assert read < 100_000_000
            assert await link.run(module, {}, upload=b"x" * 1_500_000) == {"size": 1_500_000}

    go(main())


# Before the helper


SHELLS = ("dash", "bash", "bash --posix", "busybox sh", "zsh", "ksh", "mksh", "csh", "tcsh", "fish")


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell.split()[0])])
@pytest.mark.parametrize("interpreter", [None, "/usr/bin/env python3", "/usr/bin/python3"])
def test_login_shells(shell, interpreter, ping):
    async def main():
        async with linked(interpreter, Shell(*shell.split(), "-c")) as link:
            assert (await link.run(ping, {"data": "x"}))["ping"] == "x"

    go(main())


def test_the_command_suits_every_login_shell():
    """csh takes `!` and a newline apart even between quotes, fish a backslash before a quote or another one."""
    for interpreter in (None, "/opt/my python/bin/python3", "/usr/bin/env -S python3"):
        command = boot.command(interpreter, "0" * 16, 12345)
        assert not set(command) & set("!\n")
        assert "\\\\" not in command and "\\'" not in command
        assert len(command) < 900


def test_noise_of_the_login_shell_is_skipped(ping):
    prints = "echo Welcome to web1; echo shepherd:nothing; head -c 100000 /dev/zero; "
    noise = Shell("sh", "-c", prints + 'exec sh -c "$0"')

    async def main():
        async with linked(transport=noise) as link:
            assert (await link.run(ping, {"data": "x"}))["ping"] == "x"

    go(main())


# What the login shell does instead → what the person reads
REFUSALS = {
    "no login": (
        ("sh", "-c", "echo This account is currently not available.; exit 1"),
        "no helper could be started on web1: the shell ended with status 1; it said: This account is currently not",
    ),
    "complains on stderr": (("sh", "-c", "echo quota exceeded >&2; exit 3"), "status 3; it said: quota exceeded"),
    "escape sequences": (("sh", "-c", r"printf '\033]0;evil\007'; exit 1"), r"\\x1b\]0;evil\\x07"),
    "is missing": (("/no/such/shell",), "cannot start a process on this machine"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_no_helper_at_all(case):
    shell, message = REFUSALS[case]

    async def main():
        with pytest.raises(Unreachable, match=message):
            async with linked(transport=Shell(*shell)):
                pass

    go(main())


def test_the_login_shell_never_ends(monkeypatch):
    monkeypatch.setattr("shepherd.link.START_TIMEOUT", 0.3)

    async def main():
        with pytest.raises(Unreachable, match="no helper answered on web1"):
            async with linked(transport=Shell("sh", "-c", "echo waiting; exec sleep 100")):
                pass

    go(main())


def test_something_prints_into_the_connection(probe):
    shell = Shell("sh", "-c", '(sleep 0.3; echo job done: nothing to see here) & exec sh -c "$0"')

    async def main():
        with pytest.raises(Unreachable, match="no answer of the helper: not a frame: b'job done"):
            async with linked(transport=shell) as link:
                await link.run(probe("import time; time.sleep(100)"), {})

    go(main())


def test_no_python(monkeypatch):
    monkeypatch.setattr(boot, "CANDIDATES", ("/no/python3", "no-python3"))

    async def main():
        with pytest.raises(NoPython, match=r"Python 3\.6 or newer was not found on here") as caught:
            async with linked():
                pass
        assert "raw" in caught.value.hint
        with pytest.raises(NoPython, match="the interpreter /opt/nothing/python was not found on here"):
            async with linked("/opt/nothing/python"):
                pass

    go(main())


def test_what_is_no_usable_python_is_passed_over(monkeypatch, tmp_path, ping):
    """A version manager's shim that leads nowhere, a Python that is too old: the next candidate serves."""
    for name, text in {"shim": "#!/bin/sh\nexit 127", "old": "#!/bin/sh\nexit 78", "not": "not a program"}.items():
        (tmp_path / name).write_text(text + "\n")
        (tmp_path / name).chmod(0o755)
    candidates = (*(str(tmp_path / name) for name in ("shim", "old")), "/usr/bin/python3")
    monkeypatch.setattr(boot, "CANDIDATES", candidates)

    async def main():
        async with linked("auto_silent") as link:
            assert link.hello["executable"] == "/usr/bin/python3"
            assert (await link.run(ping, {"data": "x"}))["ping"] == "x"
        with pytest.raises(NoPython, match="older than"):
            async with linked(str(tmp_path / "old")):
                pass
        with pytest.raises(NoPython, match=r"the interpreter /bin/false .* said nothing"):
            async with linked("/bin/false"):
                pass

    go(main())


def test_python_2_is_too_old():
    python = Path("/root/.pyenv/versions/2.7.18/bin/python")
    if not python.exists():
        pytest.skip("there is no Python 2 on this machine")

    async def main():
        with pytest.raises(NoPython, match=r"older than Python 3\.6"):
            async with linked(str(python)):
                pass

    go(main())


def test_file_names_that_are_no_ascii_in_the_c_locale(monkeypatch, probe, tmp_path):
    """Python 3.6 alone takes them for ASCII; the helper starts it again."""
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "café").touch()
    module = probe("import os; return {'names': os.listdir(task.args['path'])}")

    async def main():
        for python in some_pythons():
            async with linked(python) as link:
                assert "café" in (await link.run(module, {"path": str(tmp_path)}))["names"]

    go(main())


def test_the_start_stays_small():
    """Bytes on the wire before the first answer: a slow line pays for them on every connection."""
    assert len(sources.boot()) < 3_000  # for any Python
    assert len(sources.core("")) < 13_000  # as text
    assert len(sources.core(sources.BYTECODE)) < 32_000  # as code, in which the path of the checkout stands often


# Files


def test_get(tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "file").write_bytes(content)
    os.mkfifo(tmp_path / "pipe")

    async def main():
        async with linked() as link:
            pieces: list[bytes] = []
            answer = await link.get(str(tmp_path / "file"), pieces.append)
            assert b"".join(pieces) == content and answer["size"] == 300_000
            assert len(answer["checksum"]) == 40
            rest: list[bytes] = []
            answer = await link.get(str(tmp_path / "file"), rest.append, offset=299_990)
            assert b"".join(rest) == content[-10:] and answer["size"] == 10
            for name, message in {"none": "No such file", "": "not a regular", "pipe": "not a regular"}.items():
                with pytest.raises(RemoteError, match=message):
                    await link.get(str(tmp_path / name), pieces.append)
            await link.get("/proc/self/status", pieces.append)  # its size is said to be 0

            def full(piece: bytes) -> None:
                raise OSError("no room here")

            with pytest.raises(OSError, match="no room here"):
                await link.get(str(tmp_path / "file"), full)
            await link.ping()

    go(main())


def test_a_long_download_does_not_hold_up_a_run(tmp_path, ping):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(200 << 20)

    async def main():
        async with linked() as link:
            got = 0

            def count(piece: bytes) -> None:
                nonlocal got
                got += len(piece)

            download = asyncio.ensure_future(link.get(str(tmp_path / "large"), count))
            await soon(lambda: got)
            await link.run(ping, {"data": "x"})
            assert not download.done()
            await download
            assert got == 200 << 20

    go(main())


def test_an_open_that_fails_leaves_no_link(ping):
    async def main():
        transport = LocalTransport(Endpoint("here", "localhost", kind="local"))
        link = await Link.open(transport)
        link.close()
        link.close()
        with pytest.raises(Unreachable, match="was closed"):
            await link.run(ping, {"data": "x"})
        transport.close()

    go(main())
