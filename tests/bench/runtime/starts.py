"""How long it takes to make, start and end a container of /bin/true."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from typing import TYPE_CHECKING

import engines
import rivals
from place import Spent, ratio, show, spent

if TYPE_CHECKING:
    from place import Place

WARM = """
import gc, os, resource, sys, time
sys.path.insert(0, sys.argv[3])
from shepherd.runtime.bundle import config, create, lifecycle
bundle, root = sys.argv[1:3]
gc.disable()
def used():
    both = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)
for line in sys.stdin:
    for turn in range(int(line)):
        request = create.Request(root, "warm", bundle, config.load(bundle))
        before, begun = used(), time.perf_counter()
        with create.create(request, start=True) as container:
            os.waitpid(container.record["pid"], 0)
        took, cost = time.perf_counter() - begun, used() - before
        lifecycle.delete(root, "warm", force=True)
    print(took * 1000, cost * 1000, flush=True)
"""


class Warm:
    """A process that has everything imported, and makes containers when it is told to."""

    def __init__(self, place: Place) -> None:
        argv = [place.python, "-I", "-S", "-c", WARM, str(place.bundle), f"{place.memory}/warm", place.home]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(self, count: int = 1) -> Spent:
        """So many, one after another, of which the last is timed."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        took, cost = self._process.stdout.readline().split()
        return float(took), float(cost)

    def close(self) -> None:
        self._process.communicate()


def measure(place: Place, rounds: int) -> None:
    """Rounds are interleaved, and each is a pair of every two."""
    warm, others = Warm(place), rivals.bundled(place)
    cold = [place.command, "--root", f"{place.memory}/ours", "run", "--bundle", str(place.bundle), "cold"]
    table: dict[str, list[Spent]] = {}
    for turn in range(rounds + 2):
        row = {"ours, warm": warm.once(), "ours, warm, third in a row": warm.once(3), "ours, the command": spent(cold)}
        row.update((one.name, one.once()) for one in others)
        if turn > 1:  # the first rounds fill caches
            for name, figures in row.items():
                table.setdefault(name, []).append(figures)
    warm.close()
    for one in others:
        one.close()
    _show("create + start + exit of /bin/true, in ms", table, [one.name for one in others])


def measure_named(place: Place, rounds: int) -> None:
    """`run --rm … true`: an image, a record, a monitor, a log."""
    image = place.image()
    ours = [place.command, "run", "--rm", "--network", "none", image, "true"]
    table: dict[str, list[Spent]] = {}
    others = [*([rivals.Podman(place)] if shutil.which("podman") else []), *engines.found(place)]
    for turn in range(rounds + 1):
        row = {"ours": spent(ours, environment=place.environment())}
        row.update((one.name, one.once()) for one in others)
        if turn:
            for name, figures in row.items():
                table.setdefault(name, []).append(figures)
    for one in others:
        one.close()
    _show("run --rm … true, in ms", table, [one.name for one in others])


def _show(title: str, table: dict[str, list[Spent]], others: list[str]) -> None:
    rows = []
    for name, pairs in table.items():
        wall, cost = ([pair[part] for pair in pairs] for part in (0, 1))
        row = [name, *(f"{one:.1f}" for one in (statistics.median(wall), min(wall), statistics.median(cost)))]
        for other in others:
            theirs = table[other]
            both = [ratio([pair[part] for pair in pairs], [pair[part] for pair in theirs]) for part in (0, 1)]
            row.append("" if name == other else "{:.2f} {:.2f}".format(*both))
        rows.append(row)
    show(title, ["", "median", "best", "cpu", *(f"/ {other}, cpu" for other in others)], rows)
