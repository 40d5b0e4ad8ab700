"""The socket of a ProxyCommand: its standard input and output are the two directions of one socket pair."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from typing import IO, Any

from shepherd.origin import printable
from shepherd.transport.threads import beside

_GRACE = 2.0  # seconds to end in, once asked to


class ProxySocket(socket.socket):
    """Our end of the pair; closing it ends the command."""

    _process: subprocess.Popen[bytes] | None = None
    _errors: IO[bytes] | None = None

    def close(self) -> None:
        super().close()
        process, self._process = self._process, None
        if process is not None:
            beside(lambda: _end(process))
        if self._errors is not None:
            self._errors.close()

    def complaint(self) -> str:
        """The end of what the command wrote to its standard error."""
        if self._errors is None or self._errors.closed:
            return ""
        size = self._errors.seek(0, os.SEEK_END)
        text = os.pread(self._errors.fileno(), 500, max(size - 500, 0)).decode("utf-8", "replace")
        return printable(" ".join(text.split()))


def start(command: str) -> ProxySocket:
    """Run `command` by the user's shell, as ssh does. Raises OSError."""
    ours, theirs = socket.socketpair()
    errors: Any = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the socket
    with theirs:
        try:
            process = subprocess.Popen(
                [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=errors,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        except BaseException:
            ours.close()
            errors.close()
            raise
    wrapped = ProxySocket(ours.family, ours.type, ours.proto, fileno=ours.detach())
    wrapped._process, wrapped._errors = process, errors
    return wrapped


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
            return
