"""What named containers cost: memory of their monitors, and the time to start and to run many.

    python tests/bench/containers_bench.py [--count 20] [--many 100] [--python /usr/bin/python3]

Printed are the proportional set size (/proc/PID/smaps_rollup) of the monitors of `count` running containers, the time
of `run --rm … true` from beginning to end, of `start` for `many` containers that were created, and of `rm -f` for them.
Nothing is asserted. Run it as root.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tests/runtime/images", "tests/runtime/containers", ""):
    sys.path.insert(0, str(ROOT / folder))

from containers import PROGRAM, Runtime  # noqa: E402


def proportional(pid: int) -> int:
    """KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError


class Timed(Runtime):
    """With the interpreter of a target."""

    python = sys.executable

    def argv(self, *words: str) -> list[str]:
        return [self.python, "-I", "-S", "-c", PROGRAM, *words]

    def timed(self, *words: str) -> float:
        begun = time.perf_counter()
        subprocess.run(
            self.argv(*words), env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        return time.perf_counter() - begun


def memory(runtime: Timed, names: list[str], how: str) -> None:
    sizes = [proportional(runtime.monitor(name)) / 1024 for name in names]
    print(f"monitors {how}: {statistics.mean(sizes):.2f} MiB each (largest {max(sizes):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description="named containers")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--many", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter of the target")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        Timed.python = options.python
        runtime = Timed(Path(place))
        try:
            times = [runtime.timed("run", "--rm", "--network", "none", "box:1", "true") for _ in range(options.rounds)]
            print(f"run --rm true      {statistics.median(times) * 1000:7.1f} ms (best {min(times) * 1000:.1f})")
            names = [f"c{number}" for number in range(options.many)]
            for name in names:
                runtime.do("create", "--network", "none", "--name", name, "box:1", "sleep", "1000")
            took = runtime.timed("start", *names[: options.count])
            print(f"start of {options.count:4}      {took * 1000:7.1f} ms")
            memory(runtime, names[: options.count], "started together")
            runtime.timed("stop", "-t", "0", *names[: options.count])
            print(f"start of {options.many:4}      {runtime.timed('start', *names) * 1000:7.1f} ms")
            print(f"ps of {options.many:4}         {runtime.timed('ps') * 1000:7.1f} ms")
            print(f"rm -f of {options.many:4}      {runtime.timed('rm', '-f', *names) * 1000:7.1f} ms")
            for name in names[: options.count]:
                runtime.do("run", "-d", "--network", "none", "--name", name, "box:1", "sleep", "1000")
            memory(runtime, names[: options.count], "run one by one")
        finally:
            runtime.destroy()


if __name__ == "__main__":
    assert os.geteuid() == 0, "needs root, for namespaces"
    main()
