"""How long a target looks at containers that are as declared: `python tests/bench/declared_bench.py [COUNT]`, as root.

COUNT containers are declared on a lab host (50) and looked at again; processor time of the host's helper and of what it
starts is compared with starting the runtime's command once for each of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "containers"))

import images

from shepherd.lab.session import LabSession, opened


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as name, opened(f"bench-{os.getpid()}", 1) as lab:
        folder, host = Path(name), lab.hosts[0]
        images.save(folder / "app.tar", images.base())
        common = {"image": "app:1", "settle": 0, "stop_timeout": 0, "networks": ["none"], "state": "present"}
        loop = [f"c{number}" for number in range(count)]
        tasks = [
            {"container_image": {"name": "app:1", "archive": "app.tar"}},
            {"container": {"name": "{{ item }}", **common}, "loop": loop},
        ]
        _play(folder, lab, tasks)
        _play(folder, lab, tasks)
        took, used = map(min, zip(*(_measured(folder, lab, tasks) for _turn in range(5)), strict=True))
        alone, used_alone = map(min, zip(*(_measured(folder, lab, tasks[:1]) for _turn in range(5)), strict=True))
        print(f"{count} containers, looked at by one play: {(took - alone) * 1000:.0f} ms beyond a play without them")
        print(f"of the target's processor: {(used - used_alone) * 1000:.0f} ms")
        script = f"for n in {' '.join(loop)}; do shepherd-runtime inspect $n; done > /dev/null"
        began = time.perf_counter()
        host.exec(["sh", "-c", script])
        print(f"the same number of commands: {(time.perf_counter() - began) * 1000:.0f} ms")


def _measured(folder: Path, lab: LabSession, tasks: list[dict[str, object]]) -> tuple[float, float]:
    """Seconds: by the clock, and of the target's processor, by its control group."""
    before = processor(lab)
    took = _play(folder, lab, tasks)
    return took, processor(lab) - before


def processor(lab: LabSession) -> float:
    """Seconds that the host's control group has used."""
    script = "cd /sys/fs/cgroup; if [ -e cpuacct ]; then cat cpuacct/cpuacct.usage; else cat cpu.stat; fi"
    words = lab.hosts[0].exec(["sh", "-c", script]).stdout.split()
    return int(words[0]) / 1e9 if len(words) == 1 else int(words[words.index("usage_usec") + 1]) / 1e6


def _play(folder: Path, lab: LabSession, tasks: list[dict[str, object]]) -> float:
    """Seconds."""
    (folder / "play.yml").write_text(json.dumps([{"hosts": "lab", "gather_facts": False, "tasks": tasks}]))
    words = [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", str(lab.inventory)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    began = time.perf_counter()
    subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
