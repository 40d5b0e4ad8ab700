"""What waits in a template (a program, a web server, a slow hash), and the event loop need not wait for.

Rendering is plain code that may stand deep in other plain code: it cannot `await`. So it is begun in the loop, where
nearly all of it never waits and costs nothing. Where it comes to something that does (`apart`), it is ended by `Waits`
and begun again in a thread. That thread and the loop take turns: still only one of them runs, so nothing that a
template reads needs a lock, except while the thread is apart, when it touches nothing but what it was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Waits(BaseException):  # no error, and nothing that handles errors may take it for one
    """This cannot be worked out at once."""


class _GivenUp(BaseException):
    """Nobody wants the answer any more: the thread unwinds."""


class _Here(threading.local):
    """What is known of the code that runs in this thread."""

    turns: _Turns | None = None
    at_once = False


_here = _Here()


def apart(function: Callable[[], T], stop: Callable[[], object] | None = None) -> T:
    """`function()`, which may wait, and must not read variables. `stop` is called where its answer is wanted no more.

    Where nobody can go on meanwhile (outside of tasks) it is simply called.
    """
    if _here.turns is not None:
        return _here.turns.apart(function, stop)
    if _here.at_once:
        raise Waits
    return function()


def at_once(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """`function(…)`, or Waits where it would have to wait. It is ended in the middle then, so it must bear that."""
    _here.at_once = True
    try:
        return function(*args, **options)
    finally:
        _here.at_once = False


async def in_turns(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """`function(…)`; what it waits for, the event loop does not."""
    result: T = await _Turns(partial(function, *args, **options)).run()
    return result


class _Turns:
    """One call, in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._result: Any = None
        self._error: BaseException | None = None
        self._done = False
        self._thread_may = threading.Semaphore(0)
        self._loop_may = threading.Semaphore(0)
        self._stop: Callable[[], object] | None = None
        self._given_up = False

    async def run(self) -> Any:
        # no pool: it would be waited for at the end of the process, and a program may not end when it should
        threading.Thread(target=self._work, name="lookup", daemon=True).start()
        self._turn()
        try:
            await self._ended
        except asyncio.CancelledError:
            self._given_up = True
            if (stop := self._stop) is not None:
                stop()
            raise
        if self._error is not None:
            raise self._error
        return self._result

    def _turn(self) -> None:
        """In the loop: let the thread run until it is done, or apart."""
        self._thread_may.release()
        self._loop_may.acquire()
        if self._done and not self._ended.done():
            self._ended.set_result(None)

    def _work(self) -> None:
        self._thread_may.acquire()
        _here.turns = self
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is awaited
            self._error = error
        self._done = True
        self._loop_may.release()

    def apart(self, function: Callable[[], T], stop: Callable[[], object] | None) -> T:
        """In the thread: let the loop go on while `function` runs."""
        self._stop = stop
        self._loop_may.release()
        try:
            return function()
        finally:
            self._stop = None
            with contextlib.suppress(RuntimeError):  # the loop has ended: this thread will never have its turn
                self._loop.call_soon_threadsafe(self._turn)
            self._thread_may.acquire()
            if self._given_up:
                raise _GivenUp
