"""Updates while people use the application: `python tests/bench/rolling_bench.py [UPDATES [HOSTS]]`, as root.

On each lab host (2) a web application of two instances behind one port is updated so many times (10), the sixth time
to an image that is never well, while clients ask it all the time: with new connections, with ones that they keep busy,
ones that they keep and are quiet on for half a second, and ones on which they are quiet for longer than old instances
have to end. The application knows nothing of updates, keeps connections, and has no handler for signals. What is asked
for is that no request fails; the exit code is 1 where one did.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "containers"))

import images
from load import Load

from shepherd.lab.session import LabSession, opened

PORT, DRAIN, QUIET = 8098, 3, (0.5, 7.5)
BROKEN = 6  # which update


def main() -> int:
    updates, count = [*map(int, sys.argv[1:]), *(10, 2)[len(sys.argv) - 1 :]][:2]
    with tempfile.TemporaryDirectory() as name, opened(f"bench-{os.getpid()}", count) as lab, ExitStack() as stack:
        folder = Path(name)
        assert _play(folder, lab, 0) == 0
        loads = [stack.enter_context(Load(host.address, PORT, each=2, quiet=QUIET)) for host in lab.hosts]
        for number in range(1, updates + 1):
            before, began = _requests(loads), time.monotonic()
            code = _play(folder, lab, number)
            good = (code != 0) == (number == BROKEN)
            print(
                f"update {number:2}: {'rolled back' if code else 'done':11} in {time.monotonic() - began:5.1f} s, "
                f"{_requests(loads) - before:5} requests meanwhile, {sum(len(one.failures) for one in loads)} failed"
                f"{'' if good else ', WHICH IS NOT WHAT SHOULD HAVE HAPPENED'}",
                flush=True,
            )
            if not good:
                return 1
        for one in loads:
            one.until(str(updates), patience=60)
    failures = [text for one in loads for text in one.failures]
    bodies = {body for one in loads for body in one.bodies}
    clients = [client for one in loads for client in one.clients]
    print(
        f"{_requests(loads)} requests by {len(clients)} clients on {sum(one.opened for one in loads)} connections: "
        f"{len(failures)} failed; the slowest took {max(client.slowest for client in clients) * 1000:.0f} ms"
    )
    print("\n".join(failures[:10]))
    return 1 if failures or bodies != {str(one) for one in range(updates + 1)} - {str(BROKEN)} else 0


def _requests(loads: list[Load]) -> int:
    return sum(one.bodies.total() for one in loads)


def _play(folder: Path, lab: LabSession, number: int) -> int:
    """The exit code."""
    images.web(folder / "web.tar", str(number), broken=number == BROKEN)
    options: dict[str, Any] = {
        "name": "shop",
        "image": "web:1",
        "replicas": 2,
        "volumes": [images.PYTHON],
        "ports": [f"0.0.0.0:{PORT}:8080"],
        "health": {"http": ":8080/healthz", "interval": "200ms", "retries": 20},
        "stop_timeout": 1,
        "update": {"drain": f"{DRAIN}s"},
    }
    tasks = [{"container_image": {"name": "web:1", "archive": "web.tar"}}, {"container": options}]
    (folder / "play.yml").write_text(json.dumps([{"hosts": "lab", "gather_facts": False, "tasks": tasks}]))
    words = [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", str(lab.inventory)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if done.returncode and number != BROKEN:
        print(done.stdout + done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
