"""A lab for as long as a program needs it, whatever becomes of the program."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.lab.down import down_by_name
from shepherd.lab.enter import command_for, ssh_for
from shepherd.lab.up import Wishes, up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shepherd.lab.state import Host, Lab


@dataclass(frozen=True)
class LabHost:
    """One host of a running lab. `vars` are what the inventory says of it."""

    lab: Lab
    host: Host

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def address(self) -> str:
        return self.host.address

    @property
    def port(self) -> int:
        return self.host.port

    @property
    def vars(self) -> dict[str, str | int]:
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.lab.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.lab.known_hosts}",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def exec(self, command: Sequence[str], *, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the host as root, without SSH, and return its output as text."""
        words = command_for(self.lab, self.name, command)
        return subprocess.run(words, input=stdin, capture_output=True, text=True, check=check)

    def ssh_command(self, *command: str) -> list[str]:
        """The command line of the real ssh client to it."""
        return [*ssh_for(self.lab, self.name), *command]


@dataclass(frozen=True)
class LabSession:
    """A running lab."""

    lab: Lab

    @property
    def hosts(self) -> list[LabHost]:
        return [LabHost(self.lab, host) for host in self.lab.hosts]

    @property
    def inventory(self) -> Path:
        return Path(self.lab.inventory)

    @property
    def key(self) -> Path:
        return self.lab.key

    @property
    def known_hosts(self) -> Path:
        return self.lab.known_hosts

    def host(self, name: str) -> LabHost:
        return next(host for host in self.hosts if host.name == name)

    def exec(self, host: str | LabHost, command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
        """LabHost.exec of one of them, by name too."""
        found = host if isinstance(host, LabHost) else self.host(host)
        return found.exec(command, **options)  # type: ignore[arg-type]


@contextmanager
def opened(name: str, count: int, **wishes: bool) -> Iterator[LabSession]:
    """A lab of `count` hosts, and other wishes, that is down again afterwards, also when this process is killed."""
    with tempfile.TemporaryDirectory(prefix="shepherd-lab-") as folder, _guarded(name, folder):
        lab, _started = up(count, name=name, wishes=Wishes(inventory=f"{folder}/inventory", **wishes))
        try:
            yield LabSession(lab)
        finally:
            down_by_name(name)


@contextmanager
def _guarded(name: str, folder: str) -> Iterator[None]:
    """Take the lab down, and the folder away, when this process ends before it could.

    A shell waits for the end of its input, which the kernel brings about however we end; it is cheap, and in a
    session of its own, out of Ctrl-C's reach.
    """
    last_resort = [sys.executable, "-m", "shepherd.lab", "down", "--name", name]
    guard = subprocess.Popen(
        ["/bin/sh", "-c", 'read -r done || { "$@"; rm -rf -- "$0"; }', folder, *last_resort],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    assert guard.stdin is not None
    try:
        yield
    finally:
        guard.stdin.write(b"done\n")
        guard.stdin.close()
        guard.wait()
