"""Signs of life: a connection on which nothing is heard is asked for one, and given up where none comes.

One timer serves all connections that share an interval, and looks at a counter of each; who talks is not asked. TCP's
own keepalive (dial.py) does not do instead: the kernel of a machine answers it while all else there hangs, and what
stands in between (a firewall's proxy, a jump host, a ProxyCommand) answers for a machine that is gone.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

INTERVAL = 15.0  # seconds, where ssh_config has no ServerAliveInterval: three unanswered, and a minute is over


class Watched(Protocol):
    def beat(self) -> bool:
        """Called every interval: look for a sign of life, ask for one. False where there is nothing left to watch."""


class Heartbeat:
    """The timer of one interval, in seconds. It runs while it has something to watch."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, watched: Watched) -> None:
        self._watched.add(watched)
        if self._timer is None:
            self._start()

    def forget(self, watched: Watched) -> None:
        self._watched.discard(watched)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._beat)

    def _beat(self) -> None:
        self._start()
        for watched in list(self._watched):
            if not watched.beat():
                self.forget(watched)
