"""Becoming other users with the real sudo and su, on a copy of /etc that only these tests see."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest
from links import eventually, go, soon

from shepherd import sources
from shepherd.become import Become, BecomeError
from shepherd.errors import Unreachable
from shepherd.link import Link
from shepherd.transport import Endpoint, Secret
from shepherd.transport.local import LocalTransport

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="users and mounts need root")

USERS = """
set -e
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/home
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
for user in alice bob carol; do useradd -m -d /mnt/home/$user -s /bin/bash $user; done
chmod 700 /mnt/home/*
usermod -s /bin/false carol
echo alice:secret-a | chpasswd
echo bob:secret-b | chpasswd
echo 'alice ALL=(ALL:ALL) ALL' > /etc/sudoers.d/alice
echo 'carol ALL=(bob) NOPASSWD: ALL' >> /etc/sudoers.d/alice
echo 'Defaults:carol use_pty' >> /etc/sudoers.d/alice
chmod 440 /etc/sudoers.d/alice
echo ready
exec sleep 1000
"""


@pytest.fixture(scope="module")
def users():
    """The process whose mount namespace has the users; all of it ends with that process."""
    keeper = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", USERS], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert keeper.stdout.readline() == b"ready\n"
        yield keeper.pid
        inside = os.readlink(f"/proc/{keeper.pid}/ns/mnt")

        def others():
            found = []
            for entry in os.listdir("/proc"):
                if entry.isdigit() and int(entry) != keeper.pid:
                    with contextlib.suppress(OSError):
                        if os.readlink(f"/proc/{entry}/ns/mnt") == inside:
                            found.append(entry)
            return found

        assert eventually(lambda: not others())  # whoever was become is gone too
    finally:
        os.killpg(keeper.pid, signal.SIGKILL)
        keeper.wait()
        keeper.stdout.close()


class Inside(LocalTransport):
    """This machine, as root, where the users are."""

    def __init__(self, pid: int) -> None:
        super().__init__(Endpoint("web1", "localhost", kind="local"))
        self.pid = pid

    def argv(self, command: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-m", "--", "sh", "-c", command]


@contextlib.asynccontextmanager
async def path(users: int, *steps: Become):
    """The link at the end of a path of users, root first."""
    transport = Inside(users)
    links = [await Link.open(transport)]
    try:
        for step in steps:
            links.append(await links[-1].become(step))
        yield links[-1]
    finally:
        links[0].close()
        transport.close()


ALICE, BOB, CAROL = Become("su", "alice"), Become("su", "bob"), Become("sudo", "carol")
WHO = "import getpass, os; return {'user': getpass.getuser(), 'home': os.path.expanduser('~'), 'uid': os.getuid()}"

PATHS = {
    "sudo from root": ((Become("sudo", "alice"),), "alice"),
    "su from root": ((ALICE,), "alice"),
    "a shell that runs nothing, with sudo": ((CAROL,), "carol"),
    "a shell that runs nothing, with su": ((Become("su", "carol", flags="-s /bin/sh"),), "carol"),
    "sudo with a password": ((ALICE, Become("sudo", "root", Secret("secret-a"))), "root"),
    "sudo to another": ((ALICE, Become("sudo", "bob", Secret("secret-a"))), "bob"),
    "su with a password": ((ALICE, Become("su", "bob", Secret("secret-b"))), "bob"),
    "su with a login shell": ((ALICE, Become("su", "bob", Secret("secret-b"), flags="-")), "bob"),
    "three deep": ((ALICE, Become("sudo", "root", Secret("secret-a")), Become("su", "bob")), "bob"),
    "sudo without -S asks on the terminal": ((ALICE, Become("sudo", "root", Secret("secret-a"), flags="-H")), "root"),
    "sudo that makes its own terminal": ((CAROL, Become("sudo", "bob")), "bob"),
    "a password that nobody asks for": ((Become("sudo", "bob", Secret("x")),), "bob"),
    "another program": ((Become("sudo", "bob", exe="/usr/bin/env sudo"),), "bob"),
}


@pytest.mark.parametrize("case", PATHS)
def test_become(case, users, probe):
    steps, user = PATHS[case]

    async def main():
        async with path(users, *steps) as link:
            assert link.hello["user"] == user
            result = await link.run(probe(WHO), {})
            assert result["home"] == ("/root" if user == "root" else f"/mnt/home/{user}")
            large = os.urandom(2_000_000)
            there = await link.run(probe("return {'x': task.upload.read().hex()}"), {}, upload=large)
            assert there == {"x": large.hex()}

    go(main())


REFUSALS = {
    "wrong sudo password": ((ALICE,), Become("sudo", "root", Secret("wrong")), "Incorrect sudo password"),
    "wrong su password": ((ALICE,), Become("su", "bob", Secret("wrong")), "Incorrect su password"),
    "no sudo password": ((ALICE,), Become("sudo", "root"), "Missing sudo password"),
    "no sudo password, and it may ask": ((ALICE,), Become("sudo", "root", flags="-H -S"), "Missing sudo password"),
    "no su password": ((ALICE,), Become("su", "bob"), "Missing su password"),
    "no sudoer": ((BOB,), Become("sudo", "root", Secret("secret-b")), "bob is not in the sudoers file on web1"),
    "not this user": ((CAROL,), Become("sudo", "alice", Secret("x")), "carol may not become alice with sudo|Incorrect"),
    "no such user for sudo": ((), Become("sudo", "nobody-here"), "there is no user nobody-here on web1"),
    "no such user for su": ((), Become("su", "nobody-here"), "there is no user nobody-here on web1"),
    "no program": ((), Become("sudo", "bob", exe="/opt/sudo"), "/opt/sudo is not installed on web1"),
    "no shell": ((), Become("su", "carol"), "su to carol on web1 failed|runs no commands"),
    "no such method": ((), Become("sudoo", "bob"), "unknown become method 'sudoo'"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case, users, ping):
    steps, wanted, message = REFUSALS[case]

    async def main():
        async with path(users, *steps) as link:
            with pytest.raises(BecomeError, match=message) as caught:
                await link.become(wanted)
            assert "secret" not in caught.value.render() and "key=" not in caught.value.render()
            assert (await link.run(ping, {"data": "x"}))["ping"] == "x"  # the first helper goes on

    go(main())


def test_the_password_is_in_no_argument_list_and_no_environment(users, probe):
    look = """
import os
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("cmdline", "environ"):
        try:
            with open("/proc/%s/%s" % (pid, name), "rb") as file:
                if b"secret-" + b"a" in file.read():
                    found.append(pid)
        except OSError:
            pass
return {"found": found}
"""

    async def main():
        async with path(users, ALICE, Become("sudo", "root", Secret("secret-a"))) as link:
            assert await link.run(probe(look), {}) == {"found": []}

    go(main())


def test_a_run_as_another_user_ends_with_the_connection(users, probe, tmp_path):
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):  # pytest's own; one more where tests run side by side
            parent.chmod(0o755)
    sleeper = """
import subprocess, time
child = subprocess.Popen(["sleep", "100"])
open(task.args["file"], "w").write(str(child.pid))
time.sleep(100)
"""

    async def main():
        async with path(users, ALICE, Become("sudo", "bob", Secret("secret-a"))) as link:
            run = asyncio.ensure_future(link.run(probe(sleeper), {"file": str(tmp_path / "pid")}))
            assert await soon(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        with pytest.raises(Unreachable):
            await run
        pid = (tmp_path / "pid").read_text()
        assert await soon(lambda: not Path(f"/proc/{pid}").exists())

    go(main())


def test_a_slow_helper_does_not_stop_the_others(users, ping):
    """The second helper is stopped: what is sent to it is kept, then waits on the controller; nothing deadlocks."""

    async def main():
        async with path(users) as link:
            other = await link.become(ALICE)
            os.kill(other.hello["pid"], signal.SIGSTOP)
            module = sources.module(ping.path, "ping")
            sending = asyncio.ensure_future(other.run(module, {"data": "x"}, upload=b"x" * 20_000_000))
            await asyncio.sleep(0.2)
            assert not sending.done()
            os.kill(other.hello["pid"], signal.SIGCONT)
            assert (await sending)["ping"] == "x"
            assert (await link.run(module, {"data": "y"}))["ping"] == "y"

    go(main())
