"""What relaying saves on a slow line: `python tests/bench/relay_bench.py [MIB] [HOSTS] [RATE]`, as root.

An image of MIB (200) goes to HOSTS lab hosts (10) that have nothing, once with `relay` and once without. All of the
controller's connections share a line of RATE (20) MiB a second, which is a program here; hosts reach each other as they
are. Printed are the seconds, and the bytes that the controller put on the line.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "containers"))

import images

from shepherd.lab.session import LabSession, opened

MIB = 1 << 20
PIECE = 64 * 1024


class Line:
    """A port of this machine for each host; what goes to hosts is slowed down as a whole, what they say is not."""

    def __init__(self, lab: LabSession, rate: float) -> None:
        self.passed = 0
        self.ports: dict[str, int] = {}
        self._rate, self._free, self._lock = rate, time.monotonic(), threading.Lock()
        for host in lab.hosts:
            listener = socket.create_server(("127.0.0.1", 0))
            self.ports[host.name] = listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(listener, (host.address, host.port)), daemon=True).start()

    def _accept(self, listener: socket.socket, place: tuple[str, int]) -> None:
        while True:
            client, host = listener.accept()[0], socket.create_connection(place)
            threading.Thread(target=self._pass, args=(client, host, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(host, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        try:
            while data := source.recv(PIECE):
                if slow:
                    with self._lock:
                        self.passed += len(data)
                        self._free = max(self._free, time.monotonic()) + len(data) / self._rate
                        wait = self._free - time.monotonic()
                    time.sleep(max(0.0, wait))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # an end has gone


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mib", type=int, nargs="?", default=200)
    parser.add_argument("hosts", type=int, nargs="?", default=10)
    parser.add_argument("rate", type=float, nargs="?", default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, opened(f"bench-{os.getpid()}", options.hosts) as lab:
        folder, line = Path(name), Line(lab, options.rate * MIB)
        hosts = {
            host.name: {**host.vars, "ansible_host": "127.0.0.1", "ansible_port": line.ports[host.name]}
            for host in lab.hosts
        }
        (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
        parts = [images.layer({f"part-{number}": (os.urandom(options.mib * MIB // 4), 0o644)}) for number in range(4)]
        images.save(folder / "app.tar", images.base(), *parts)
        task = {"name": "app:1", "archive": "app.tar"}
        _play(folder, {"container_runtime": {}})
        _play(folder, {"container_image": task}, "--check")  # reads the archive
        took = {}
        for relay in (True, False):
            before, began = line.passed, time.perf_counter()
            _play(folder, {"container_image": {**task, "relay": relay}})
            took[relay] = time.perf_counter() - began
            sent = (line.passed - before) / MIB
            print(f"{'with' if relay else 'without'} relay: {took[relay]:.1f} s, {sent:.0f} MiB sent", flush=True)
            for host in lab.hosts:
                host.exec(["shepherd-runtime", "rmi", "-f", "app:1"])
        print(f"without / with: {took[False] / took[True]:.1f}")


def _play(folder: Path, task: dict[str, object], *flags: str) -> None:
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    words = [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", "hosts.yml", *flags]
    words += ["-e", "ansible_host_key_checking=false"]  # the keys are known by other addresses
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": root}
    subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
