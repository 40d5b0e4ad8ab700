"""What it costs work to be done in a container: the same loops of a shell, inside and outside, in turn.

Each loop reads the time that the scheduler has given to its own process, before and after, so that starting is not
counted, and neither is waiting: /proc/PID/schedstat, nanoseconds.
"""

from __future__ import annotations

import statistics
import subprocess
from typing import TYPE_CHECKING

from place import ratio, show

if TYPE_CHECKING:
    from place import Place

LOOP = (
    "read -r before rest < /proc/$$/schedstat; i=0; while [ $i -lt %d ]; do i=$((i+1)); %s; done; "
    "read -r after rest < /proc/$$/schedstat; echo $((after-before))"
)
KINDS = {"computing": (":", 250000), "system calls (open, dup2, close)": (": > /dev/null", 40000)}


def measure(place: Place, rounds: int) -> None:
    """Medians of the pairs. The container has the default filter of system calls, limits of memory and processors."""
    image = place.image()
    name = "work"
    options = ["--network", "none", "--memory", "256m", "--cpus", "2", "--name", name]
    place.do("run", "-d", *options, image, "sleep", "1000")
    try:
        rows = []
        for kind, (body, count) in KINDS.items():
            shell = ["sh", "-c", LOOP % (count, body)]
            bare = [f"{place.bundle}/rootfs/bin/busybox", *shell]
            inside, outside = [], []
            for turn in range(rounds + 1):
                pair = place.do("exec", name, *shell), subprocess.run(bare, check=True, capture_output=True).stdout
                if turn:
                    inside.append(float(pair[0]) / 1e6)
                    outside.append(float(pair[1]) / 1e6)
            medians = [f"{statistics.median(one):.0f}" for one in (inside, outside)]
            rows.append([kind, *medians, f"{100 * (ratio(inside, outside) - 1):+.1f} %"])
        show("work inside a container, in ms of the processor", ["", "inside", "outside", "overhead"], rows)
    finally:
        place.do("rm", "-f", name)
