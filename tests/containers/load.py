"""A bounded load of HTTP requests: new connections, busy ones that stay, and ones that stay and are quiet in between.

What counts as failed: everything but an answer of status 200 whose body is whole. As all clients that keep connections
do (RFC 9112, section 9.3.1 and 9.6), these look before they send whether the server has closed theirs meanwhile, and
open another then; nothing is tried twice.
"""

from __future__ import annotations

import http.client
import select
import threading
import time
from collections import Counter
from typing import Any

from tests.patience import seconds


class Client(threading.Thread):
    """One that asks until it is told to stop. `keep`: connections stay; `pause`: seconds between two requests."""

    def __init__(self, address: str, port: int, *, keep: bool, pause: float) -> None:
        super().__init__(daemon=True)
        self.place, self.keep, self.pause = (address, port), keep, pause
        self.bodies: Counter[str] = Counter()
        self.failures: list[str] = []
        self.opened = 0
        self.slowest = 0.0  # seconds
        self.ending = threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                self._ask()
            except (OSError, http.client.HTTPException) as error:
                kind = f"kept connection, quiet for {self.pause} s" if self.keep else "new connection"
                self.failures.append(f"{kind}: {error!r}")
                self._connection = None
            self.ending.wait(self.pause)

    def _ask(self) -> None:
        connection = self._connection
        if connection is None or connection.sock is None or select.select([connection.sock], [], [], 0)[0]:
            if connection is not None:
                connection.close()
            connection = self._connection = http.client.HTTPConnection(*self.place, timeout=seconds(30))
            self.opened += 1
        began = time.perf_counter()
        connection.request("POST", "/", b"x" * 2000, {} if self.keep else {"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read()
        self.slowest = max(self.slowest, time.perf_counter() - began)
        if answer.status != 200:
            self.failures.append(f"status {answer.status}: {body[:300]!r}")
        self.bodies[body.decode().partition("\n")[0]] += 1
        if not self.keep:
            connection.close()


class Load:
    """Some clients of each kind, as a context."""

    def __init__(
        self, address: str, port: int, *, each: int = 2, pause: float = 0.02, quiet: tuple[float, ...] = (0.4,)
    ):
        kinds: list[dict[str, Any]] = [{"keep": False, "pause": pause}, {"keep": True, "pause": pause}]
        kinds += [{"keep": True, "pause": seconds} for seconds in quiet]
        self.clients = [Client(address, port, **kind) for kind in kinds for _ in range(each)]

    def __enter__(self) -> Load:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        for client in self.clients:
            client.ending.set()
        for client in self.clients:
            client.join()

    @property
    def failures(self) -> list[str]:
        return [one for client in self.clients for one in client.failures]

    @property
    def bodies(self) -> Counter[str]:
        """How often which first line was answered."""
        return sum((client.bodies for client in self.clients), Counter())

    @property
    def opened(self) -> int:
        return sum(client.opened for client in self.clients)

    def until(self, body: str, more: int = 20, patience: float = 30.0) -> None:
        """Wait until so many more answers have come that begin like this."""
        before, deadline = self.bodies[body], time.monotonic() + patience
        while self.bodies[body] < before + more:
            assert time.monotonic() < deadline, f"no answers of {body}: {self.bodies}, {self.failures[:3]}"
            time.sleep(0.01)
