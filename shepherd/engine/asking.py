"""Questions to the person at the terminal, asked so that Ctrl-C ends them and other hosts need not wait."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from shepherd.origin import printable
from shepherd.report.events import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.report.events import Emit

LINE = 4096  # bytes; a terminal gives whole lines, and no longer ones


async def ask(emit: Emit, question: str, *, echo: bool = True) -> str:
    """The line typed in answer to `question`, without its end; empty where there is no more input.

    `echo` False hides what is typed. Where standard input is no terminal its next line is the answer.
    """
    emit(Prompt(question))
    try:
        return await _answer(question, echo=echo)
    finally:
        emit(Prompt(question, answered=True))


async def _answer(question: str, *, echo: bool) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    screen = sys.stdout if sys.stdout.isatty() else sys.stderr  # what is written elsewhere is for a program
    with contextlib.nullcontext() if echo else _hidden(sys.stdin.fileno()):  # before anybody can have read the question
        screen.write(printable(question))
        screen.flush()
        try:
            return await _line(sys.stdin.fileno())
        finally:
            if not echo:
                screen.write("\n")
                screen.flush()


@contextlib.contextmanager
def _hidden(terminal: int) -> Iterator[None]:
    """What is typed is not shown."""
    import termios

    before = termios.tcgetattr(terminal)
    quiet = list(before)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


async def _line(terminal: int) -> str:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def arrived() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(terminal, arrived)
    try:
        await ready
        return os.read(terminal, LINE).decode("utf-8", "replace").rstrip("\n")
    finally:
        loop.remove_reader(terminal)
