"""Threads for what paramiko can only do by waiting. A waiting one costs memory alone, and few wait at a time."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

# asyncio's own pool has a few threads only, and hosts that hang would take them all. At most one thread per host waits.
_pool = ThreadPoolExecutor(max_workers=4096, thread_name_prefix="ssh")


def in_thread(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> asyncio.Future[T]:
    """Run a blocking function beside the event loop."""
    return asyncio.get_running_loop().run_in_executor(_pool, lambda: function(*arguments, **options))


def beside(function: Callable[[], object]) -> None:
    """Run a blocking function whose outcome nobody waits for."""

    def run() -> None:
        with contextlib.suppress(Exception):  # it throws something away, which may be broken already
            function()

    _pool.submit(run)
