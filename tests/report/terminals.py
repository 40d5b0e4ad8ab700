"""The command at a terminal of its own, with somebody who answers its questions."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CTRL_C = "\x03"
PATIENCE = 30  # seconds for the whole


def at_terminal(words: Sequence[str], cwd: Path, answers: Sequence[tuple[str, str]] = ()) -> tuple[int, str]:
    """Its exit code and all that came on the screen. `answers`: what is typed once a text is there."""
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60"}
        environment.pop("NO_COLOR", None)
        os.execve(sys.executable, [sys.executable, "-m", "shepherd", *words], environment)  # noqa: S606  # no shell is meant
    seen, start = b"", 0
    left = list(answers)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if select.select([screen], [], [], 1)[0]:
            try:
                piece = os.read(screen, 65536)
            except OSError:  # the other side is closed
                break
            seen += piece
        elif answers and not left and answers[-1][1] == CTRL_C:
            os.write(screen, CTRL_C.encode())  # Python misses one that comes just before it waits for input
        at = seen.find(left[0][0].encode(), start) if left else -1
        if at >= 0:
            start = at + 1
            os.write(screen, left.pop(0)[1].encode())
    else:
        os.kill(pid, 9)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(screen)
    assert not left, seen
    return status, seen.decode("utf-8", "replace").replace("\r\n", "\n")
