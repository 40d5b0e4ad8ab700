"""What of an image goes over the wire: `python tests/bench/layers_bench.py [MIB] [HOSTS] [--cut]`, as root.

An image of MIB (200) goes to HOSTS lab hosts (3) that have nothing; then its last layer changes. Printed are the bytes
that came in at each host's interface, by the kernel's count, and how often the controller opened each blob. With --cut
the first host's connection is cut in the middle of a layer, and what was missing comes with a second play.
"""

from __future__ import annotations

import argparse
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


# ends the connections of the host that it runs on
CUT = """
for place in /proc/[0-9]*; do
    read -r name < $place/comm && [ "$name" = sshd ] || continue
    grep -q '^sshd: .*@' $place/cmdline && kill ${place#/proc/}
done 2>/dev/null
true
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mib", type=int, nargs="?", default=200)
    parser.add_argument("hosts", type=int, nargs="?", default=3)
    parser.add_argument("--cut", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, opened(f"bench-{os.getpid()}", options.hosts) as lab:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(COUNTING)
        parts = [images.layer({f"part-{number}": (os.urandom(options.mib * MIB // 4), 0o644)}) for number in range(4)]
        _play(folder, lab, [{"container_runtime": {}}])
        task = {"container_image": {"name": "app:1", "archive": "app.tar"}}
        for number, what in ((1, "the whole image"), (2, "another last layer")):
            last = images.layer({"version": (b"%d" % number, 0o644)})
            images.save(folder / "app.tar", images.base(), *parts, last)
            _play(folder, lab, [task], "--check")  # reads the archive
            if number == 1 and options.cut:
                _measured(folder, lab, task, "cut", cut=True)
                what = "once more"
            _measured(folder, lab, task, what)


def _measured(folder: Path, lab: LabSession, task: dict[str, object], what: str, *, cut: bool = False) -> None:
    (folder / "opened").unlink(missing_ok=True)
    before, began = _received(lab), time.perf_counter()
    play = _begun(folder, lab, [task])
    if cut:
        at = _cut(lab, play)
        print(f"the connection of {lab.hosts[0].name} was cut after {at} bytes of a blob")
    code = play.wait()
    assert (code != 0) == cut, code
    took = time.perf_counter() - began
    came = [after - one for after, one in zip(_received(lab), before, strict=True)]
    there = sum("app" in host.exec(["shepherd-runtime", "images"]).stdout for host in lab.hosts)
    blobs = (folder / "opened").read_text().split()
    print(f"{what}: {took:.1f} s; the image is on {there} of {len(lab.hosts)} hosts; bytes at each host: {came}")
    print(f"  blobs opened by the controller: {len(blobs)}, of which {len(set(blobs))} different")


def _cut(lab: LabSession, play: subprocess.Popen[bytes]) -> int:
    """End the first host's connections as soon as a blob is there in part: how many bytes of it."""
    script = "stat -c %s /var/lib/shepherd/staging/blob-* 2>/dev/null; true"
    while play.poll() is None:
        sizes = [int(word) for word in lab.hosts[0].exec(["sh", "-c", script]).stdout.split()]
        if max(sizes, default=0) > MIB:
            lab.hosts[0].exec(["sh", "-c", CUT])
            return max(sizes)
    raise AssertionError("the play was over before a layer had begun to arrive")


def _received(lab: LabSession) -> list[int]:
    command = ["cat", "/sys/class/net/eth0/statistics/rx_bytes"]
    return [int(host.exec(command).stdout) for host in lab.hosts]


def _play(folder: Path, lab: LabSession, tasks: list[dict[str, object]], *flags: str) -> None:
    code = _begun(folder, lab, tasks, *flags).wait()
    assert code == 0, code


def _begun(folder: Path, lab: LabSession, tasks: list[dict[str, object]], *flags: str) -> subprocess.Popen[bytes]:
    (folder / "play.yml").write_text(json.dumps([{"hosts": "lab", "gather_facts": False, "tasks": tasks}]))
    words = [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", str(lab.inventory), *flags]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": f"{folder}:{root}"}
    environment["OPENED"] = str(folder / "opened")
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
