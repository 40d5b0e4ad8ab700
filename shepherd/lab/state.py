"""What is kept about a lab: one JSON file, in a folder that also holds its keys and logs.

The folder is written before anything is made, so that `down` finds whatever an `up` that was killed has left. Which
hosts run is not in it: that is read from the kernel. Everything lies below /run, which a reboot empties as it ends
the hosts.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.errors import OptionsError
from shepherd.runtime.linux import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = Path("/run/shepherd-lab")
MARK = "shepherd-lab"
_seen: dict[str, int] = {}  # the mark of a host → its process 1 when it was looked for


@dataclass
class Host:
    """One host: where its sshd listens, its public key as in known_hosts ("ssh-ed25519 AAAA…")."""

    name: str
    address: str
    port: int
    index: int  # counts from 0 in its lab
    host_key: str = ""


@dataclass
class Lab:
    """A set of hosts. `network` (IPv4, CIDR) and `bridge` are empty where the machine's own network is shared."""

    name: str
    inventory: str
    systemd: bool = False
    root: str = "/"  # the folder that its hosts are writable views of
    network: str = ""
    bridge: str = ""
    hosts: list[Host] = field(default_factory=list)
    made_folder: bool = False  # whether the inventory's folder is there for its sake

    @property
    def folder(self) -> Path:
        return HOME / self.name

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def shares_network(self) -> bool:
        return not self.bridge

    def host(self, name: str) -> Host | None:
        return next((host for host in self.hosts if host.name == name), None)

    def log(self, host: Host) -> Path:
        """What the host's sshd says."""
        return self.folder / f"{host.name}.log"

    def mark(self, host: Host) -> str:
        """The name by which the kernel knows the host's root."""
        return f"{MARK}/{self.name}/{host.name}"

    @property
    def cgroup(self) -> str:
        """Below every hierarchy; a host's is one further down."""
        return f"{MARK}/{self.name}"

    def running(self) -> dict[str, int]:
        """Process 1 of the hosts that run, also of one that the file does not know: name → pid."""
        found = processes.inits(f"{MARK}/{self.name}/")
        return {mark.rpartition("/")[2]: pid for mark, pid in found.items()}

    def process(self, host: str) -> int | None:
        """Process 1 of one of them, or None. Where it was the last time is looked at before all of /proc is."""
        mark = f"{MARK}/{self.name}/{host}"
        if not processes.is_init(_seen.get(mark, 0), mark):
            _seen[mark] = self.running().get(host, 0)
        return _seen[mark] or None

    def save(self) -> None:
        path = self.folder / "state.json"
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self), indent=1) + "\n")
        beside.replace(path)


def load(name: str) -> Lab | None:
    """The lab of this name, or None. One whose file was never finished is as good as empty."""
    folder = HOME / name
    try:
        data = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return Lab(name, inventory="") if folder.is_dir() else None
    hosts = [Host(**host) for host in data.pop("hosts")]
    return Lab(hosts=hosts, **data)


def labs() -> list[Lab]:
    """All labs of this machine, by name."""
    names = sorted(entry.name for entry in HOME.iterdir() if entry.is_dir()) if HOME.is_dir() else []
    return [lab for lab in map(load, names) if lab is not None]


def checked_name(name: str) -> str:
    """The name, where it can be that of a lab."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", name):
        raise OptionsError(
            f"{name!r} cannot be the name of a lab",
            hint="lower-case letters, digits and hyphens, at most 32, as in a host name",
        )
    return name


@contextmanager
def locked(name: str = "") -> Iterator[int]:
    """Hold the lock of the lab `name`, or without one the lock under which networks and ports are chosen.

    The kernel lets go of it when the last process that inherited the descriptor ends or becomes another program: the
    next holder sees no host half started, even when the one before was killed.
    """
    path = HOME / f"{name}.lock"
    while True:
        HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the folder was taken away just now
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        os.close(descriptor)  # the holder before took the file away
    try:
        yield descriptor
    finally:
        with suppress(OSError):
            if not name or not (HOME / name).is_dir():
                path.unlink()
        os.close(descriptor)
        with suppress(OSError):
            HOME.rmdir()


def forget(lab: Lab) -> None:
    """Take away what is kept about it."""
    shutil.rmtree(lab.folder, ignore_errors=True)
