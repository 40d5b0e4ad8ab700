"""Time a container of /bin/true beside runc and crun: the same bundle, in turn.

    python tests/bench/runtime_bench.py [--rounds 30] [--python /usr/bin/python3] [--folder PLACE]

Compared are the command (`run`: create, start, wait, delete) and create + start + exit from a process that has
everything imported, where the others have only their command. Rounds are interleaved, and each is a pair: printed are
medians in milliseconds, and the median of the pairs' ratios (under 1: ours is faster). Records are in memory. Nothing
is asserted. Run it as root; crun has a mount namespace without /sys/fs/cgroup/unified, which it takes for the whole.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from shepherd.runtime.cli import main
code = main()
sys.stdout.flush()
os._exit(code)
"""
WARM = f"""
import gc, os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from shepherd.runtime.bundle import config, create, lifecycle
bundle, root = sys.argv[1:]
gc.disable()
for line in sys.stdin:
    request = create.Request(root, "warm", bundle, config.load(bundle))
    begun = time.perf_counter()
    with create.create(request, start=True) as container:
        os.waitpid(container.record["pid"], 0)
    print(time.perf_counter() - begun, flush=True)
    lifecycle.delete(root, "warm", force=True)
"""


def make(folder: Path) -> None:
    """A bundle as `spec` has it, that the rivals' older versions take too."""
    sys.path.insert(0, str(ROOT))
    from shepherd.runtime.bundle import template

    busybox = shutil.which("busybox")
    assert busybox, "needs busybox without libraries (Debian: busybox-static)"
    for name in ("bin", "proc", "sys", "dev", "etc"):
        (folder / "rootfs" / name).mkdir(parents=True)
    shutil.copy(busybox, folder / "rootfs/bin/busybox")
    (folder / "rootfs/bin/true").symlink_to("busybox")
    config = template.config()
    config["ociVersion"] = "1.0.2"
    config["process"].update(terminal=False, args=["/bin/true"])
    (folder / "config.json").write_text(json.dumps(config))


def timed(argv: list[str], folder: Path) -> float:
    begun = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    return took


class Warm:
    """A process that makes one container for each line."""

    def __init__(self, python: str, folder: Path, state: Path) -> None:
        argv = [python, "-I", "-S", "-c", WARM, str(folder), str(state)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(self) -> float:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="containers beside runc and crun")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter of the target")
    parser.add_argument("--folder", help="where the bundle is made")
    options = parser.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=options.folder) as place, tempfile.TemporaryDirectory(dir=memory) as state:
        folder = Path(place)
        make(folder)
        ours = [options.python, "-I", "-S", "-c", COMMAND, "--root", f"{state}/ours", "run", "--bundle", place, "cold"]
        rivals = {}
        if shutil.which("runc"):
            rivals["runc"] = ["runc", "--root", f"{state}/runc", "run", "cold"]
        if shutil.which("crun"):
            script = "umount /sys/fs/cgroup/unified 2>/dev/null; while read _; do "
            script += f"crun --root {state}/crun run cold || exit 1; echo; done"
            rivals["crun"] = ["unshare", "-m", "sh", "-c", script]
        warm = Warm(options.python, folder, Path(state, "warm"))
        table: dict[str, list[float]] = {name: [] for name in ["warm", "command", *rivals]}
        looped = {name: Looped(argv, folder) for name, argv in rivals.items() if argv[0] == "unshare"}
        for turn in range(options.rounds + 2):
            row = {"warm": warm.once(), "command": timed(ours, folder)}
            for name, argv in rivals.items():
                row[name] = looped[name].once() if name in looped else timed(argv, folder)
            if turn >= 2:  # the first rounds fill caches
                for name, took in row.items():
                    table[name].append(took * 1000)
        warm.close()
        for one in looped.values():
            one.close()
    for name, times in table.items():
        print(f"{name:8} {statistics.median(times):7.1f} ms (best {min(times):.1f})")
    for rival in rivals:
        for name in ("warm", "command"):
            pairs = [one / other for one, other in zip(table[name], table[rival], strict=True)]
            print(f"{name} / {rival}: {statistics.median(pairs):.2f}")


class Looped:
    """A shell that runs the rival once for each line: what prepares it is not timed."""

    def __init__(self, argv: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(self) -> float:
        assert self._process.stdin and self._process.stdout
        begun = time.perf_counter()
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "\n"
        return time.perf_counter() - begun

    close = Warm.close


if __name__ == "__main__":
    main()
