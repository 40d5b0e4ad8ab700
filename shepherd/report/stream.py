"""Where reports are written to: a file that may be closed under us, or full, while hosts are being changed."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO


class Stream:
    """Writes as long as that works. When it no longer does, the run goes on without a report.

    A reader that has gone (`shepherd play … | head`) is no reason to leave hosts half done.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def isatty(self) -> bool:
        return self._file.isatty()

    def _give_up(self, error: OSError) -> None:
        with contextlib.suppress(OSError, ValueError):  # what waits in the buffer goes there too, when Python ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            with contextlib.suppress(OSError):
                print(f"[WARNING]: the report cannot be written ({error.strerror}); the run goes on", file=sys.stderr)
