"""What of an image goes over the wire: `python tests/bench/layers_bench.py [MIB] [HOSTS]`, as root.

An image of MIB (200) goes to HOSTS lab hosts (3) that have nothing; then its last layer changes. Printed are the bytes
that came in at each host's interface, by the kernel's count, and how often the controller opened each blob.
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

MIB = 1 << 20
COUNTING = """\
import os, sys
def seen(event, arguments):
    if event == "open" and "/images/blobs/" in str(arguments[0]):
        with os.fdopen(os.open(os.environ["OPENED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), "w") as file:
            file.write(os.path.basename(arguments[0]) + "\\n")
sys.addaudithook(seen)
"""


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as name, opened(f"bench-{os.getpid()}", count) as lab:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(COUNTING)
        parts = [images.layer({f"part-{number}": (os.urandom(size * MIB // 4), 0o644)}) for number in range(4)]
        _play(folder, lab, [{"container_runtime": {}}])
        for number in (1, 2):
            last = images.layer({"version": (b"%d" % number, 0o644)})
            images.save(folder / "app.tar", images.base(), *parts, last)
            task = {"container_image": {"name": "app:1", "archive": "app.tar"}}
            _play(folder, lab, [task], "--check")  # reads the archive
            (folder / "opened").unlink(missing_ok=True)
            before, began = _received(lab), time.perf_counter()
            _play(folder, lab, [task])
            took = time.perf_counter() - began
            came = [after - one for after, one in zip(_received(lab), before, strict=True)]
            blobs = (folder / "opened").read_text().split()
            what = "the whole image" if number == 1 else "another last layer"
            print(f"{what}: {took:.1f} s; bytes at each host: {came}")
            print(f"  blobs opened by the controller: {len(blobs)}, of which {len(set(blobs))} different")


def _received(lab: LabSession) -> list[int]:
    command = ["cat", "/sys/class/net/eth0/statistics/rx_bytes"]
    return [int(host.exec(command).stdout) for host in lab.hosts]


def _play(folder: Path, lab: LabSession, tasks: list[dict[str, object]], *flags: str) -> None:
    (folder / "play.yml").write_text(json.dumps([{"hosts": "lab", "gather_facts": False, "tasks": tasks}]))
    words = [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", str(lab.inventory), *flags]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": f"{folder}:{root}"}
    environment["OPENED"] = str(folder / "opened")
    subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
