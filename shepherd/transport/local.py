"""Commands on this machine: the same pipe that SSH gives, over a subprocess.

The command gets a session of its own, so that Ctrl-C reaches the controller alone and the helper learns of the end as
it does on a remote host: its standard input closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import weakref
from typing import TYPE_CHECKING

from shepherd.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shepherd.transport import Endpoint

READ = 256 * 1024
ERRORS = 64 * 1024  # bytes of standard error that are kept


class LocalTransport:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._pipes: list[LocalPipe] = []

    async def connect(self) -> None:
        """Nothing to do: this machine is always there."""

    def argv(self, command: str) -> Sequence[str]:
        return ("/bin/sh", "-c", command)

    async def open(self, command: str) -> LocalPipe:
        try:
            pipe = LocalPipe(self.argv(command), self.endpoint.directory)
        except OSError as error:
            raise Unreachable(f"cannot start a process on this machine: {error}") from None
        self._pipes.append(pipe)
        return pipe

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        self._pipes.clear()


class LocalPipe:
    """See shepherd.transport.Pipe."""

    def __init__(self, argv: Sequence[str], directory: str | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._errors = bytearray()
        self._open = True
        self._writable: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[int] = self._loop.create_future()
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            argv, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, cwd=directory
        )
        files = [file for file in (self._process.stdin, self._process.stdout, self._process.stderr) if file is not None]
        self._stdin, self._stdout, self._stderr = (os.dup(file.fileno()) for file in files)
        for file in files:
            file.close()
        for fd in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(fd, False)
        self._watch_process()

    def start(self, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        if self._open:
            self._loop.add_reader(self._stdout, self._read_output, on_data, on_close)
            self._loop.add_reader(self._stderr, self._read_errors)
        else:
            self._loop.call_soon(on_close)

    def _read_output(self, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        try:
            data = os.read(self._stdout, READ)
        except BlockingIOError:
            return
        if data:
            on_data(data)
        else:
            if self._open:
                self._read_errors()  # what it said last belongs to the reason
            self._let_go()
            on_close()

    def _read_errors(self) -> None:
        try:
            data = os.read(self._stderr, READ)
        except BlockingIOError:
            return
        if data:
            self._errors += data
            del self._errors[:-ERRORS]
        else:
            self._loop.remove_reader(self._stderr)

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if not self._open:
                raise Unreachable("the local process has ended")
            try:
                rest = rest[os.write(self._stdin, rest) :]
            except BlockingIOError:
                await self._until_writable()
            except OSError as error:
                raise Unreachable(f"the local process has ended: {error.strerror}") from None

    async def _until_writable(self) -> None:
        self._writable = self._loop.create_future()
        self._loop.add_writer(self._stdin, self._wake)
        await self._writable

    def _wake(self) -> None:
        if self._open:
            self._loop.remove_writer(self._stdin)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    @property
    def errors(self) -> bytes:
        return bytes(self._errors)

    def silent(self) -> None:
        """This machine is always there."""

    async def wait(self) -> int | None:
        return await asyncio.shield(self._ended)

    def close(self) -> None:
        if self._open:
            self._let_go()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)  # a helper first ends what it runs

    def _let_go(self) -> None:
        """Close our ends of the pipes; a helper then ends by itself."""
        if not self._open:
            return
        self._open = False
        for fd in (self._stdin, self._stdout, self._stderr):
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
            os.close(fd)
        self._wake()

    def _watch_process(self) -> None:
        """Learn of the end of the process, and reap it, without a thread where the kernel can tell (Linux)."""
        try:
            fd = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):
            self._look()
            return
        close = weakref.finalize(self, os.close, fd)  # the loop may end before the process does, and `ended` never run

        def ended() -> None:
            self._loop.remove_reader(fd)
            close()
            self._look()

        self._loop.add_reader(fd, ended)

    def _look(self) -> None:
        status = self._process.poll()
        if status is None:
            self._loop.call_later(0.02, self._look)
        elif not self._ended.done():
            self._ended.set_result(status)
