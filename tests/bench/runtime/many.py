"""What running containers take of memory, and how long it takes to start and to remove many."""

from __future__ import annotations

import shutil
import statistics
import time
from typing import TYPE_CHECKING

import engines
import rivals
from place import Spent, proportional, show, spent

if TYPE_CHECKING:
    from place import Place


def measure(place: Place, running: int, many: int) -> None:
    """The memory of `running` containers, each way of starting them; the time for `many`."""
    image = place.image()
    names = [f"c{number}" for number in range(many)]
    for name in names:
        place.do("create", "--network", "none", "--name", name, image, "sleep", "1000")
    try:
        sizes = {}
        place.do("start", *names[:running])
        sizes["ours, started together"] = _monitors(place, names[:running])
        place.do("rm", "-f", *names[:running])
        begun = time.perf_counter()
        for name in names[:running]:
            place.do("run", "-d", "--network", "none", "--name", name, image, "sleep", "1000")
        took = {f"ours, {running} times": time.perf_counter() - begun}
        sizes["ours, each by a run of its own"] = _monitors(place, names[:running])
        place.do("stop", "-t", "0", *names[:running])
        if shutil.which("podman"):
            podman = rivals.Podman(place)
            begun = time.perf_counter()
            for name in names[:running]:
                podman.begin(name)
            took[f"podman, {running} times"] = time.perf_counter() - begun
            sizes["podman"] = [proportional(pid) for pid in podman.monitors()]
            podman.close()
        for engine in engines.found(place):
            begun = time.perf_counter()
            for name in names[:running]:
                engine.begin(name)
            took[f"{engine.name}, {running} times"] = time.perf_counter() - begun
            sizes[engine.name] = engine.monitors()
            if isinstance(engine, engines.Docker):
                sizes["docker: the daemons, whatever runs"] = [engine.daemons()]
            engine.close()
        rows = [[name, f"{statistics.mean(one):.2f}", f"{max(one):.2f}"] for name, one in sizes.items()]
        show(f"memory of the monitor of each of {running} running containers, in MiB", ["", "mean", "most"], rows)
        rows = [[name, f"{seconds:.2f}"] for name, seconds in took.items()]
        show("containers that go on, each by a command of its own, in seconds", ["", "wall"], rows)
        times = {}
        for verb, words in (("start", ["start"]), ("ps", ["ps"]), ("rm -f", ["rm", "-f"])):
            argv = [place.command, *words, *(names if verb != "ps" else [])]
            times[f"ours, {verb} of {many}"] = spent(argv, environment=place.environment())
    finally:
        left = place.do("ps", "-aq").split()
        if left:
            place.do("rm", "-f", *left)
    if shutil.which("runc"):
        times[f"runc run --detach, {many} times"] = _runc(place, names)
    rows = [[name, f"{wall / 1000:.2f}", f"{cost / 1000:.2f}"] for name, (wall, cost) in times.items()]
    show("many containers, in seconds", ["", "wall", "cpu"], rows)


def _monitors(place: Place, names: list[str]) -> list[float]:
    from shepherd.runtime.containers.folders import Folders
    from shepherd.runtime.containers.record import find

    folders = Folders(str(place.folder / "root"), str(place.folder / "state"))
    return [proportional(find(folders, name).monitor()) for name in names]


def _runc(place: Place, names: list[str]) -> Spent:
    """Containers without logs, without anybody who looks after them; one command each is all there is."""
    script = "for name; do runc --root {0}/runc run --detach $name || exit 1; done"
    took = spent(["sh", "-c", script.format(place.memory), "sh", *names], place.bundle)
    script = "for name; do runc --root {0}/runc delete --force $name; done"
    spent(["sh", "-c", script.format(place.memory), "sh", *names], place.bundle)
    return took
