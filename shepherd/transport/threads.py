"""Threads for what paramiko can only do by waiting. A waiting one costs memory alone, and few wait at a time.

Of our own, because the standard pools hold up the end of the process until their threads are done, and one that
sends to a host that does not read may never be. asyncio's pool is small besides: a few hosts that hang would fill it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
_idle = threading.Semaphore(0)  # threads that wait for a job


def in_thread(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> asyncio.Future[T]:
    """Run a blocking function beside the event loop."""
    future: Future[T] = Future()

    def job() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = function(*arguments, **options)
        except BaseException as problem:  # noqa: BLE001  # it is raised where the result is awaited
            future.set_exception(problem)
        else:
            future.set_result(result)

    _submit(job)
    return asyncio.wrap_future(future)


def beside(function: Callable[[], object]) -> None:
    """Run a blocking function whose outcome nobody waits for."""

    def job() -> None:
        with contextlib.suppress(Exception):  # it throws something away, which may be broken already
            function()

    _submit(job)


def _submit(job: Callable[[], None]) -> None:
    if _idle.acquire(blocking=False):
        _jobs.put(job)
    else:
        threading.Thread(target=_work, args=(job,), name="ssh-wait", daemon=True).start()


def _work(job: Callable[[], None]) -> None:
    while True:
        job()
        del job  # and what it holds, while this waits for the next
        _idle.release()
        job = _jobs.get()
