"""Docker and LXC, where they are found on the path: what they make is removed again, Docker's daemon included."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from place import proportional, spent

if TYPE_CHECKING:
    from place import Place, Spent

GROUPS = Path("/sys/fs/cgroup")


def _remove_groups(names: list[str], known: set[Path]) -> None:
    """Control groups by these names that were not there before; a hierarchy's own folder is one level down."""
    for name in names:
        for top in {*GROUPS.glob(name), *GROUPS.glob(f"*/{name}")} - known:
            for folder, _folders, _files in os.walk(top, topdown=False):
                os.rmdir(folder)


def _groups(names: list[str]) -> set[Path]:
    return {found for name in names for pattern in (name, f"*/{name}") for found in GROUPS.glob(pattern)}


class Lxc:
    """lxc-start with a configuration of a few lines: namespaces, groups and a console, no image, no log."""

    name = "lxc"
    LEFT = ("lxc.pivot",)

    def __init__(self, place: Place) -> None:
        self._known = _groups([*self.LEFT])
        self._folder = place.memory / "lxc"
        point = place.memory / "lxc-root"
        for folder in (self._folder, point):
            folder.mkdir()
        self._config = place.memory / "lxc.conf"
        lines = {
            "lxc.rootfs.path": f"dir:{place.bundle}/rootfs",
            "lxc.rootfs.mount": point,
            "lxc.net.0.type": "empty",
            "lxc.mount.auto": "proc:mixed sys:ro",
            "lxc.autodev": 1,
            "lxc.apparmor.profile": "unconfined",
        }
        self._config.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        self._names: list[str] = []

    def _spent(self, name: str, *words: str) -> Spent:
        return spent(["lxc-start", "-P", str(self._folder), "-f", str(self._config), "-n", name, *words])

    def once(self) -> Spent:
        return self._spent("once", "-F", "--", "/bin/true")

    def begin(self, name: str) -> None:
        self._names.append(name)
        self._spent(name, "-d", "--", "/bin/busybox", "sleep", "1000")

    def monitors(self) -> list[float]:
        """MiB of each process that looks after one of them."""
        return [proportional(pid) for pid in _by_command(f"[lxc monitor] {self._folder} ".encode())]

    def close(self) -> None:
        for name in self._names:
            spent(["lxc-stop", "-P", str(self._folder), "-n", name, "-k"])
        _remove_groups([*self.LEFT], self._known)


class Docker:
    """dockerd with containerd and a folder of their own, in namespaces of their own, without a network."""

    name = "docker"

    def __init__(self, place: Place) -> None:
        self._known = _groups(["docker"])
        self._folder = place.memory / "docker"
        self._folder.mkdir()
        socket = f"unix://{self._folder}/socket"
        self._environment = {**os.environ, "DOCKER_HOST": socket, "DOCKER_CONFIG": str(self._folder)}
        words = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"]
        words += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--data-root", f"{self._folder}/data"]
        words += ["--exec-root", f"{self._folder}/run", "--pidfile", f"{self._folder}/pid", "--host", socket]
        script = 'mount --make-rprivate / && mount -t tmpfs none /run && ip link set lo up && exec dockerd "$@"'
        with (place.folder / "dockerd.log").open("wb") as log:
            self._daemon = subprocess.Popen(
                ["unshare", "--mount", "--net", "sh", "-c", script, "sh", *words], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while self._run("version").returncode:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"no dockerd: {(place.folder / 'dockerd.log').read_text()[-1000:]}")
            time.sleep(0.1)
        archive = place.folder / "docker.tar"
        subprocess.run(["tar", "-C", place.bundle / "rootfs", "-cf", archive, "."], check=True)
        self._spent("import", str(archive), "box:1")

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *words], env=self._environment, capture_output=True, text=True, check=False
        )  # fmt: skip

    def _spent(self, *words: str) -> Spent:
        return spent(["docker", *words], environment=self._environment)

    def once(self) -> Spent:
        """The processor's time is the client's alone: the daemon does the rest."""
        return self._spent("run", "--rm", "--network", "none", "box:1", "/bin/true")

    def begin(self, name: str) -> None:
        self._spent("run", "-d", "--network", "none", "--name", name, "box:1", "/bin/busybox", "sleep", "1000")

    def monitors(self) -> list[float]:
        """MiB of each container's shim."""
        return [proportional(pid) for pid in _by_command(f"{self._folder}/run".encode(), "containerd-shim")]

    def daemons(self) -> float:
        """MiB of dockerd and containerd."""
        own = f"{self._folder}/".encode()
        return sum(proportional(pid) for name in ("dockerd", "containerd") for pid in _by_command(own, name, name))

    def close(self) -> None:
        found = self._run("ps", "-aq").stdout.split()
        if found:
            self._spent("rm", "-f", *found)
        self._daemon.send_signal(signal.SIGTERM)
        self._daemon.wait(60)
        _remove_groups(["docker"], self._known)


def _by_command(part: bytes, name: str = "", exact: str = "") -> list[int]:
    """Processes whose command line has `part` in it, and whose name begins with `name`, or is `exact`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit():
                continue
            comm = (entry / "comm").read_text().rstrip("\n")
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if part in words and comm.startswith(name) and exact in ("", comm):
            found.append(int(entry.name))
    return found


def found(place: Place) -> list[Lxc | Docker]:
    """Those that are on the path."""
    kinds = {"lxc-start": Lxc, "dockerd": Docker}
    return [kind(place) for program, kind in kinds.items() if shutil.which(program)]
