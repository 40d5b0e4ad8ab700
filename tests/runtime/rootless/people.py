"""Ordinary users of a machine of their own: a mount namespace with other files in /etc, homes, folders of sessions.

carol has subordinate ids, dave has none. Their programs run in that namespace, which ends with who holds it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.patience import seconds

CHECKOUT = Path(__file__).parents[3]
PYTHON = os.environ.get("SHEPHERD_TARGET_PYTHON", "/usr/bin/python3")
# of this process alone: others may run the same tests beside it
IDS = {"carol": 200000 + 2 * os.getpid(), "dave": 200001 + 2 * os.getpid()}
FIRST = 20000000 + os.getpid() % 30000 * 65536
SUBORDINATE = f"carol:{FIRST}:65536\n"
HOLD = r"""
set -e
mount --make-rprivate /
mkdir "${1%/*}/home" # on a disk: tmpfs has attributes of users since Linux 6.6
mount --bind "${1%/*}/home" /home
mkdir -p /run/user
mount -t tmpfs -o mode=755 tmpfs /run/user
mount -t tmpfs -o mode=1777 tmpfs /tmp
for one in "carol:$2" "dave:$3"; do
    mkdir -m 700 "/home/${one%:*}"
    chown "${one#*:}:${one#*:}" "/home/${one%:*}"
done
mkdir -m 700 "/run/user/$2"
chown "$2:$2" "/run/user/$2"
for name in passwd group subuid subgid; do
    mount --bind "$1/$name" "/etc/$name"
done
echo ready
exec cat
"""


class Machine:
    """The namespace. `place` is a folder that everybody may enter, with the installed runtime and an image in it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        etc = place / "etc"
        etc.mkdir()
        for name in ("passwd", "group"):
            lines = Path("/etc", name).read_text()
            for user, number in IDS.items():
                rest = f"{number}::/home/{user}:/bin/sh" if name == "passwd" else ""
                lines += f"{user}:x:{number}:{rest}\n"
            (etc / name).write_text(lines)
        for name in ("subuid", "subgid"):
            (etc / name).write_text(SUBORDINATE)
        install = "import sys; sys.path.insert(0, sys.argv[1]); from shepherd.runtime import single_file"
        subprocess.run(
            [PYTHON, "-I", "-S", "-c", install + "; single_file.install(sys.argv[2])", CHECKOUT, place], check=True
        )
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", HOLD, "sh", etc, *map(str, IDS.values())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout
        assert self.holder.stdout.readline() == b"ready\n"

    def subordinate(self, text: str) -> contextlib.AbstractContextManager[None]:
        """What /etc/subuid and /etc/subgid say meanwhile."""

        @contextlib.contextmanager
        def changed():
            files = [self.place / "etc" / name for name in ("subuid", "subgid")]
            for one in files:
                one.write_text(text)
            try:
                yield
            finally:
                for one in files:
                    one.write_text(SUBORDINATE)

        return changed()

    def inside(self, *words: object) -> list[str]:
        """A command line in the namespace, as root."""
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--", *map(str, words)]

    def end(self) -> None:
        for number in IDS.values():
            for pid in processes(number):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert self.holder.stdin
        self.holder.stdin.close()
        self.holder.wait()
        assert self.holder.stdout
        self.holder.stdout.close()
        shutil.rmtree(self.place)


def processes(number: int) -> list[int]:
    """The pids of all whose user this is, or one of the subordinate ids."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit():
                status = Path(f"/proc/{entry}/status").read_text()
                owner = status.split("\nUid:\t")[1].split()[1]
                if "\nState:\tZ" in status:
                    continue  # has ended, and waits for a parent who takes note
                if int(owner) == number or (number == IDS["carol"] and FIRST <= int(owner) < FIRST + 65536):
                    found.append(int(entry))
        except OSError:
            continue
    return found


class User:
    """One of them, and the runtime as this user calls it."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name
        self.number = IDS[name]
        self.home = Path("/home", name)
        session = Path("/run/user", str(self.number))
        self.state = (session if name == "carol" else Path(f"/tmp/shepherd-{self.number}")) / "shepherd"
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home)}
        if name == "carol":
            self.environment["XDG_RUNTIME_DIR"] = str(session)

    @property
    def has_ids(self) -> bool:
        return self.name == "carol"

    def argv(self, *words: object) -> list[str]:
        """A command line as this user."""
        number = str(self.number)
        rights = ["setpriv", "--reuid", number, "--regid", number, "--clear-groups", "--"]
        return self.machine.inside(*rights, *words)

    def call(self, *words: object, **more: Any) -> subprocess.CompletedProcess[str]:
        """A program."""
        more = {"stdin": subprocess.DEVNULL, "timeout": seconds(60), "env": self.environment, **more}
        if "input" in more:
            del more["stdin"]
        return subprocess.run(self.argv(*words), capture_output=True, text=True, check=False, **more)

    def verb(self, *words: object, **more: Any) -> subprocess.CompletedProcess[str]:
        """A verb of the runtime."""
        done = self.call(self.machine.place / "bin/shepherd-runtime", *words, **more)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def do(self, *words: object, **more: Any) -> str:
        """The same where it has to succeed: what it printed."""
        done = self.verb(*words, **more)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def seen(self, path: Path) -> Path:
        """The path by which this test's process sees a file of the user's machine."""
        return Path(f"/proc/{self.machine.holder.pid}/root{path}")

    def write(self, path: Path, text: str) -> None:
        done = self.call("tee", path, input=text)
        assert done.returncode == 0, done.stderr

    def keeper(self) -> int:
        """The pid of the process that keeps the user's namespace."""
        return int(self.seen(self.state / "keeper").read_text().split()[0])

    def others(self) -> set[int]:
        """The user's processes, without the keeper."""
        known = self.seen(self.state / "keeper").exists()
        return set(processes(self.number)) - {self.keeper() if known else 0}

    def end(self) -> None:
        """All containers: then nothing runs but the keeper."""
        kept = self.seen(self.home / ".local/share/shepherd/containers")
        names = {one.name for one in kept.iterdir()} - {"names", "lock"} if kept.exists() else set()
        if names:
            self.do("rm", "-fv", *names)
        self.until(lambda: not self.others())

    def forget_keeper(self) -> None:
        """End the keeper."""
        os.kill(self.keeper(), signal.SIGTERM)
        self.until(lambda: self.keeper() not in processes(self.number))

    def until(self, test: Any) -> None:
        """Wait for the kernel."""
        deadline = time.monotonic() + seconds(30)
        while not test():
            assert time.monotonic() < deadline, [
                Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes(self.number)
            ]
            time.sleep(0.01)
