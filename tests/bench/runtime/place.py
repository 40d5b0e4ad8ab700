"""What the measurements share: the runtime as it is installed, a bundle, and how a command's time is taken."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
for folder in ("tests/runtime/images", "tests/runtime/containers", ""):
    sys.path.insert(0, str(ROOT / folder))

INSTALL = "import sys; sys.path.insert(0, sys.argv[1]); from shepherd.runtime import single_file as one"


class Place:
    """A folder to work in: `command` is the installed runtime, `python` the interpreter of the target."""

    def __init__(self, folder: Path, memory: Path, python: str) -> None:
        self.folder = folder
        self.memory = memory  # records of bundles are in memory, as /run is
        self.python = python
        words = [python, "-I", "-S", "-c", INSTALL + "; print(one.install(sys.argv[2]))", str(ROOT), f"{folder}/prefix"]
        self.home = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        self.command = f"{folder}/prefix/bin/shepherd-runtime"
        self.bundle = folder / "bundle"
        self._make_bundle()

    def _make_bundle(self) -> None:
        """As `spec` has it, in the version that the rivals take, too."""
        from shepherd.runtime.bundle import template

        busybox = shutil.which("busybox")
        if not busybox:
            sys.exit("needs busybox without libraries (Debian: busybox-static)")
        for name in ("bin", "proc", "sys", "dev", "etc"):
            (self.bundle / "rootfs" / name).mkdir(parents=True)
        shutil.copy(busybox, self.bundle / "rootfs/bin/busybox")
        for name in ("true", "sh", "cat"):
            (self.bundle / f"rootfs/bin/{name}").symlink_to("busybox")
        config = template.config()
        config["ociVersion"] = "1.0.2"
        config["process"].update(terminal=False, args=["/bin/true"])
        (self.bundle / "config.json").write_text(json.dumps(config))

    def environment(self) -> dict[str, str]:
        """For the verbs of named containers."""
        return {
            "PATH": os.environ["PATH"],
            "SHEPHERD_RUNTIME_ROOT": str(self.folder / "root"),
            "SHEPHERD_RUNTIME_STATE": str(self.folder / "state"),
        }

    def image(self) -> str:
        """An image of busybox in the store: its name."""
        from containers import base
        from image_maker import Layout, layer

        layout = Layout(self.folder / "layout")
        layout.name(layout.image([layer(*base())], config={"Cmd": ["sh"], "Env": ["PATH=/bin"]}), "box:1")
        self.do("load", "-q", str(layout.path))
        return "box:1"

    def do(self, *words: str) -> str:
        """A verb that has to succeed: what it printed."""
        done = subprocess.run(
            [self.command, *words],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout


Spent = tuple[float, float]  # milliseconds: of the wall, and of the processors, with all that was waited for


def spent(
    argv: list[str], folder: Path | None = None, environment: dict[str, str] | None = None, mounts: int | None = None
) -> Spent:
    """Run a command that has to succeed, in the mount namespace of a descriptor if there is one."""
    from shepherd.runtime.linux import syscalls

    begun = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            if mounts is not None:
                syscalls.setns(mounts, syscalls.CLONE_NEWNS)
            if folder is not None:
                os.chdir(folder)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            os.execvpe(argv[0], argv, environment or os.environ)  # noqa: S606 - no shell is meant
        finally:
            os._exit(126)
    _pid, status, used = os.wait4(pid, 0)
    took = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(argv)}: status {os.waitstatus_to_exitcode(status)}")
    return took * 1000, (used.ru_utime + used.ru_stime) * 1000


def proportional(pid: int) -> float:
    """MiB: what it has for itself, and its share of what it has with others (/proc/PID/smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError


def used() -> float:
    """Milliseconds of the processors that this process has used, and those it has waited for."""
    both = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both) * 1000


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the pairs' ratios: under 1, ours is less."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def show(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """A table, with the machine's load beside it, since all figures of time depend on that."""
    load = "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
    print(f"\n{title} (load {load} on {os.cpu_count()} processors)")
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    for row in [heads, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  " + "   ".join([row[0].ljust(widths[0]), *cells[1:]]), flush=True)
