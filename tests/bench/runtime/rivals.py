"""What stands beside the runtime: whichever of runc, crun, bubblewrap and podman is installed. See engines.py, too."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from place import Spent, spent

if TYPE_CHECKING:
    from place import Place


class Mounts:
    """A mount namespace that a program may need, as long as it is open. `script` is done in it first."""

    def __init__(self, script: str) -> None:
        words = ["unshare", "--mount", "sh", "-c", script + "; echo; exec cat"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        self._process.stdout.readline()
        self.descriptor = os.open(f"/proc/{self._process.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.descriptor)
        self._process.communicate()


class Bundled:
    """runc and crun: `run` in the bundle's folder."""

    def __init__(self, place: Place, name: str, mounts: Mounts | None = None) -> None:
        self.name = name
        self._mounts = mounts
        self._folder = place.bundle
        self._words = [name, "--root", f"{place.memory}/{name}", "run"]

    def once(self) -> Spent:
        return spent([*self._words, "cold"], self._folder, mounts=self._mounts.descriptor if self._mounts else None)

    def begin(self, name: str) -> None:
        """One that goes on, as far as the bundle's program does."""
        spent([*self._words, "--detach", name], self._folder)

    def close(self) -> None:
        if self._mounts:
            self._mounts.close()


class Bubblewrap:
    """bwrap: namespaces and mounts; no control groups, no filter, no record of what runs."""

    name = "bubblewrap"

    def __init__(self, place: Place) -> None:
        self._words = ["bwrap", "--unshare-all", "--ro-bind", f"{place.bundle}/rootfs", "/", "--proc", "/proc"]
        self._words += ["--dev", "/dev", "/bin/true"]

    def once(self) -> Spent:
        return spent(self._words)

    def close(self) -> None:
        pass


class Podman:
    """podman with storage of its own, driving runc; named containers, as ours are, with a monitor each."""

    name = "podman"
    OPTIONS = ("--network=none", "--ulimit", "nofile=256:256", "--ulimit", "nproc=256:256", "--cgroup-parent")

    def __init__(self, place: Place) -> None:
        self._place = place
        folder = Path(place.memory, "pod")  # its paths have to be short
        self.group = f"/shepherd-bench-{os.getpid()}"
        self._words = ["podman", "--root", f"{place.folder}/pod", "--runroot", f"{folder}/run", "--tmpdir"]
        self._words += [f"{folder}/tmp", "--cgroup-manager=cgroupfs", "--runtime", "runc"]
        self._mounts = Mounts(":")
        archive = place.folder / "rootfs.tar"
        subprocess.run(["tar", "-C", place.bundle / "rootfs", "-cf", archive, "."], check=True)
        self._spent("import", "--quiet", str(archive), "box:1")

    def _spent(self, *words: str) -> Spent:
        return spent([*self._words, *words], mounts=self._mounts.descriptor)

    def once(self) -> Spent:
        return self._spent("run", "--rm", *self.OPTIONS, self.group, "box:1", "true")

    def begin(self, name: str) -> None:
        self._spent("run", "-d", "--name", name, *self.OPTIONS, self.group, "box:1", "/bin/busybox", "sleep", "1000")

    def monitors(self) -> list[int]:
        """The processes that look after its containers."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "comm").read_text() == "conmon\n":
                    command = (entry / "cmdline").read_bytes()
                    if str(self._place.memory).encode() in command:
                        found.append(int(entry.name))
            except OSError:
                continue
        return found

    def close(self) -> None:
        self._spent("rm", "--all", "--force", "--time=0")
        deadline = time.monotonic() + 30
        while self.monitors() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._mounts.close()
        for group in Path("/sys/fs/cgroup").glob(f"*{self.group}"):
            for folder, _folders, _files in os.walk(group, topdown=False):
                os.rmdir(folder)


def bundled(place: Place) -> list[Bundled | Bubblewrap]:
    """Those that make a container of a folder. crun takes a hybrid machine's empty version 2 for the whole."""
    found: list[Bundled | Bubblewrap] = []
    if shutil.which("runc"):
        found.append(Bundled(place, "runc"))
    if shutil.which("crun"):
        found.append(Bundled(place, "crun", Mounts("umount /sys/fs/cgroup/unified 2>/dev/null")))
    if shutil.which("bwrap"):
        found.append(Bubblewrap(place))
    return found


def missing() -> str:
    """What would be compared with, too, were it there."""
    known = ("runc", "crun", "bwrap", "podman", "dockerd", "lxc-start", "skopeo", "umoci")
    names = [name for name in known if not shutil.which(name)]
    return f"not installed, and left out: {', '.join(names)}\n" if names else ""
