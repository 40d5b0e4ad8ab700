"""HTTP through a published port, to the container's own address, and to the same server on the host, in turn.

    unshare --net --mount python tests/bench/runtime/web.py FOLDER MEMORY PYTHON ROUNDS

It needs a network namespace of its own: `table.py` starts it in one.
"""

from __future__ import annotations

import json
import select
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from place import Place, ratio, show

SERVER = Path(__file__).with_name("serve.py")
SECONDS = 1.0
CONNECTIONS = 16
Address = tuple[str, int]


class Load:
    """So many connections that each ask again as soon as they are answered."""

    def __init__(self, address: Address, path: str, count: int, again: bool) -> None:
        self._address = address
        self._request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
        self._again = again  # another connection for each request
        self._poll = select.epoll()
        self._ends: dict[int, socket.socket] = {}
        self._begun: dict[int, float] = {}
        self._left: dict[int, int] = {}
        self.times: list[float] = []
        self.received = 0
        for _number in range(count):
            self._connect()

    def _connect(self) -> None:
        begun = time.perf_counter()
        end = socket.create_connection(self._address)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ends[end.fileno()] = end
        self._poll.register(end, select.EPOLLIN)
        self._ask(end, begun)

    def _ask(self, end: socket.socket, begun: float) -> None:
        self._begun[end.fileno()] = begun
        self._left[end.fileno()] = 0
        end.sendall(self._request)

    def run(self, seconds: float) -> float:
        """Requests a second."""
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            for number, _event in self._poll.poll():
                self._hear(self._ends[number])
        rate = len(self.times) / (time.perf_counter() - begun)
        for end in self._ends.values():
            end.close()
        return rate

    def _hear(self, end: socket.socket) -> None:
        number = end.fileno()
        data = end.recv(1 << 18)
        if not data:
            sys.exit("the server has closed a connection")
        self.received += len(data)
        if not self._left[number]:
            head, _, body = data.partition(b"\r\n\r\n")
            self._left[number] = int(head.rpartition(b" ")[2]) - len(body)
        else:
            self._left[number] -= len(data)
        if self._left[number] > 0:
            return
        now = time.perf_counter()
        self.times.append(now - self._begun[number])
        if self._again:
            del self._ends[number]
            end.close()
            self._connect()
        else:
            self._ask(end, now)


KINDS = {
    "requests a second, kept connections": ("/", CONNECTIONS, False),
    "requests a second, one connection": ("/", 1, False),
    "connections a second": ("/", CONNECTIONS, True),
    "MB a second": ("/big", 4, False),
}


def measure(places: dict[str, Address], rounds: int) -> None:
    """All kinds, at all addresses, in turn."""
    rows = []
    for kind, (path, count, again) in KINDS.items():
        rates: dict[str, list[float]] = {name: [] for name in places}
        times: dict[str, list[float]] = {name: [] for name in places}
        for _turn in range(rounds):
            for name, address in places.items():
                load = Load(address, path, count, again)
                rate = load.run(SECONDS)
                rates[name].append(load.received / SECONDS / 1e6 if path == "/big" else rate)
                times[name] += load.times
        host = rates["the host itself"]
        for name in places:
            latency = sorted(times[name])
            row = [kind, name, f"{statistics.median(rates[name]):.0f}", f"{ratio(rates[name], host):.2f}"]
            row += [f"{1e6 * latency[int(len(latency) * part)]:.0f}" for part in (0.5, 0.99)]
            rows.append(row)
    show("HTTP", ["", "", "median", "/ host", "µs, half of them", "µs, 99 %"], rows)


def main() -> None:
    folder, memory, python, rounds = sys.argv[1:]
    from shepherd.runtime.linux.netlink import Netlink

    with Netlink() as kernel:
        kernel.set_up((kernel.link("lo") or (1,))[0])
    # or thousands of connections a second would soon be a search for a port that no closed one has yet (tcp(7))
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("100")
    place = Place(Path(folder), Path(memory), python)
    image = place.image()
    host = subprocess.Popen([python, "-I", "-S", str(SERVER), "8081"], stdout=subprocess.PIPE)
    assert host.stdout
    host.stdout.readline()
    binds = [word for path in ("/usr", "/lib", "/lib64") if Path(path).exists() for word in ("-v", f"{path}:{path}:ro")]
    words = ["-d", "--name", "web", "-p", "127.0.0.1:8080:80", *binds, "-v", f"{SERVER}:/serve.py:ro", image]
    place.do("run", *words, python, "-I", "-S", "/serve.py", "80")
    try:
        while "ready" not in place.do("logs", "web"):
            time.sleep(0.02)
        inside = json.loads(place.do("inspect", "web"))[0]["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        places = {
            "the host itself": ("127.0.0.1", 8081),
            "the container's address": (inside, 80),
            "a published port": ("127.0.0.1", 8080),
        }
        measure(places, int(rounds))
    finally:
        place.do("rm", "-f", "web")
        host.kill()
        host.wait()


if __name__ == "__main__":
    main()
