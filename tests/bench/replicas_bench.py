"""Ten replicas on one host, from nothing to healthy: `python tests/bench/replicas_bench.py [COUNT]`, as root.

Shepherd: a play that declares them, on a lab host that has the image; podman: as many `podman run -d` with the same
image and health check on this machine, and then `podman healthcheck run` until each is well. Without podman that half
is left out. Beside the time by the clock is that of processors: of the lab host without the controller, and of podman's
commands without its monitors. Podman runs in a control group at the lab host's place, so that both get as much of a
machine that others use. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "containers"))

import images
from declared_bench import processor

from shepherd.lab.session import LabSession, opened

# what this machine lets podman have; its own network would need rules that are not ours to make
PLAIN = ["--network=none", "--ulimit", "nofile=256:256", "--ulimit", "nproc=256:256"]
GROUP = f"shepherd-lab/bench-{os.getpid()}"  # the lab's, which is down by then


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="pod") as name:  # podman takes paths of up to 50 characters
        folder = Path(name)
        images.save(folder / "app.tar", images.base())
        with opened(f"bench-{os.getpid()}", 1) as lab:
            took, used = _shepherd(folder, lab, count)
            print(f"shepherd: {count} replicas healthy after {took:.2f} s, {used:.2f} s of the host's processor")
        if shutil.which("podman"):
            took, used = _podman(folder, count)
            print(f"podman: {count} containers healthy after {took:.2f} s, {used:.2f} s of processor")


def _shepherd(folder: Path, lab: LabSession, count: int) -> tuple[float, float]:
    image = {"container_image": {"name": "app:1", "archive": "app.tar"}}
    options = {"image": "app:1", "networks": ["none"], "stop_timeout": 0, "replicas": count}
    health = {"command": "true", "interval": "500ms"}
    _play(folder, lab, [image])
    before, began = processor(lab), time.perf_counter()
    _play(folder, lab, [image, {"container": {"name": "shop", "health": health, **options}}])
    return time.perf_counter() - began, processor(lab) - before


def _play(folder: Path, lab: LabSession, tasks: list[dict[str, object]]) -> None:
    (folder / "play.yml").write_text(json.dumps([{"hosts": "lab", "gather_facts": False, "tasks": tasks}]))
    words = [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", str(lab.inventory)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def _podman(folder: Path, count: int) -> tuple[float, float]:
    words = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp"]
    words += ["--cgroup-manager=cgroupfs"]
    names = [f"shop-{number}" for number in range(count)]

    def podman(*more: str) -> subprocess.CompletedProcess[bytes]:
        # in a mount namespace of their own, so that nothing of theirs is left mounted
        return subprocess.run([*inside, *words, *more], stdin=subprocess.DEVNULL, capture_output=True)

    place = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert place.stdin and place.stdout
    place.stdout.readline()
    group = _processor_group() / GROUP / "commands"
    group.mkdir(parents=True)
    join = 'echo 0 > "$0" && exec "$@"'
    inside = ["sh", "-c", join, f"{group}/cgroup.procs", "nsenter", "--mount", "--target", str(place.pid)]
    try:
        podman("load", "-i", str(folder / "app.tar")).check_returncode()
        check = ["--health-cmd", "true", "--health-interval=disable", "--cgroup-parent", f"/{GROUP}"]
        if podman("run", "--rm", *check, *PLAIN, "app:1", "sh", "-c", "exit 0").returncode:
            words += ["--runtime", "runc"]  # crun refuses machines with both versions of control groups
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        for name in names:
            podman("run", "-d", "--name", name, *check, *PLAIN, "app:1").check_returncode()
        for name in names:
            while podman("healthcheck", "run", name).returncode:
                pass
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - began, used
    finally:
        podman("rm", "--all", "--force", "--time=0")
        place.stdin.close()
        place.wait()
        top = Path("/sys/fs/cgroup")
        for found in (*top.glob(f"*/{GROUP}"), *top.glob(GROUP)):
            for path, _folders, _files in os.walk(found, topdown=False):
                _remove(Path(path))


def _processor_group() -> Path:
    """The top of the groups that processors are shared between."""
    top = Path("/sys/fs/cgroup")
    return top if (top / "cgroup.controllers").exists() else top / "cpu"


def _remove(group: Path) -> None:
    """A control group, as soon as the monitors of podman's containers have left it."""
    for _try in range(100):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main()
