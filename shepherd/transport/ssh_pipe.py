"""A command at the far end of an SSH channel, as callbacks in the event loop.

paramiko's transport thread puts incoming data into the channel's buffers and sets an event there. Ours wakes the loop
instead, so that no thread waits for each host. Sending happens in the loop as long as the kernel takes the bytes at
once; otherwise in a thread, so that one slow host does not hold up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import select
import socket
import struct
import termios
from typing import TYPE_CHECKING, Any

from shepherd.transport.threads import beside, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import Channel

    from shepherd.errors import Unreachable

ERRORS_KEPT = 64 * 1024
READ = 256 * 1024
_PACKET_OVERHEAD = 1024  # what encryption and packet heads may add to one write of 64 KiB, generously
_SMALL = 256  # room for a window update, or a goodbye


class Wakeup:
    """Stands where paramiko expects a threading.Event: `set` runs `callback` soon in the loop, once until it ran."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._due = False

    def set(self) -> None:
        if not self._due:
            self._due = True
            with contextlib.suppress(RuntimeError):  # the loop has ended before the connection
                self._loop.call_soon_threadsafe(self._run)

    def clear(self) -> None:
        """Nothing to do: the callback reads until nothing is left."""

    def is_set(self) -> bool:
        return self._due

    def _run(self) -> None:
        self._due = False  # before reading: what arrives from here on wakes us again
        self._callback()


class SshPipe:
    """One exec channel. `lost` makes the error for a broken connection, with what is known of the reason; `silent`
    too, where it was given up because nothing was heard any more."""

    def __init__(
        self, channel: Channel, lost: Callable[[], Unreachable], silent: Callable[[], Unreachable | None]
    ) -> None:
        self._channel = channel
        self._buffers: Any = (channel.in_buffer, channel.in_stderr_buffer)
        self._lost = lost
        self.silent = silent
        self._loop = asyncio.get_running_loop()
        self._errors = bytearray()
        self._turn = asyncio.Lock()  # writes keep their order
        self._waiting = 0  # writes that wait, or are under way in a thread
        self._ended: asyncio.Future[int | None] = self._loop.create_future()
        self._on_data: Callable[[bytes], None] | None = None
        self._on_close: Callable[[], None] | None = None
        self._reading = False

    def start(self, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        """Begin to deliver output, in the thread of the event loop that calls this."""
        self._on_data, self._on_close = on_data, on_close
        wakeup = Wakeup(self._loop, self._wake)
        for buffer in self._buffers:
            buffer.set_event(wakeup)
        wakeup.set()  # for what arrived before

    async def write(self, data: bytes) -> None:
        """Send `data` in one write where it fits; waits while the far end is slow. Raises Unreachable when broken."""
        if self._channel.closed:
            raise self._lost()
        if not self._waiting and room(self._channel) >= len(data):
            self._send(data)
            return
        self._waiting += 1  # a lock that has just been passed on looks free, hence a count beside it
        try:
            async with self._turn:
                await in_thread(self._send, data)
        finally:
            self._waiting -= 1

    @property
    def errors(self) -> bytes:
        """What the command wrote to standard error so far (the last 64 KiB)."""
        return bytes(self._errors)

    async def wait(self) -> int | None:
        """The exit status once the command has ended; None where the connection broke first, or a signal ended it."""
        return await asyncio.shield(self._ended)

    def close(self) -> None:
        """End it now. May be called twice."""
        close_channel(self._channel)

    def _send(self, data: bytes) -> None:
        import paramiko

        try:
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException):
            raise self._lost() from None
        if not self._channel.get_transport().is_active():  # where paramiko drops what it is given without a word
            raise self._lost()

    def _wake(self) -> None:
        """Deliver what has arrived. Taking it may send a window update, hence the look at `room`."""
        if self._reading:
            return
        output, errors = self._buffers
        if output.read_ready() or errors.read_ready():
            if room(self._channel) < _SMALL and not self._channel.closed:
                self._reading = True
                in_thread(self._take).add_done_callback(self._taken)
                return
            self._loop.call_soon(self._wake)  # others have their turn before the next piece
            self._deliver(*self._take())
        elif self._channel.closed or self._channel.eof_received:
            self._finish()

    def _taken(self, future: asyncio.Future[tuple[bytes, bytes]]) -> None:
        self._reading = False
        if not future.cancelled():
            self._deliver(*future.result())
            self._wake()

    def _take(self) -> tuple[bytes, bytes]:
        output, errors = self._buffers
        with contextlib.suppress(EOFError):  # the window update of a connection that just broke
            data = self._channel.recv(READ) if output.read_ready() else b""
            return data, self._channel.recv_stderr(READ) if errors.read_ready() else b""
        return b"", b""

    def _deliver(self, data: bytes, errors: bytes) -> None:
        if errors:
            self._errors += errors
            del self._errors[:-ERRORS_KEPT]
        if data and self._on_data is not None:
            self._on_data(data)

    def _finish(self) -> None:
        on_close, self._on_close = self._on_close, None
        if self._channel.closed and not self._ended.done():
            status = self._channel.exit_status
            self._ended.set_result(status if status >= 0 else None)
        if on_close is not None:
            on_close()


def close_channel(channel: Any) -> None:
    """Close without waiting: saying goodbye to a peer that does not read would."""
    if channel.closed:
        return
    if room(channel) >= _SMALL:
        with contextlib.suppress(OSError, EOFError):
            channel.close()
    else:
        beside(channel.close)


def room(channel: Any) -> int:
    """How many bytes can be sent on `channel` now without waiting: its window, and the free space below it."""
    return min(room_below(channel.get_transport()), int(channel.out_window_size))


def room_below(transport: Any) -> int:
    """The same for what belongs to no channel."""
    if not transport.clear_to_send.is_set():  # keys are being exchanged anew
        return 0
    below = transport.sock
    return (room(below) if hasattr(below, "get_transport") else _socket_room(below)) - _PACKET_OVERHEAD


def _socket_room(sock: socket.socket) -> int:
    with contextlib.suppress(OSError, ValueError):  # ValueError: paramiko's thread has closed it by now
        queued = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        # the kernel counts its own bookkeeping against the buffer, about as much as data (socket(7), SO_SNDBUF)
        return int(sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2 - queued)
    with contextlib.suppress(
        OSError, ValueError
    ):  # closed, or a system that cannot tell: writable means a few KiB at least
        return 8192 if select.select([], [sock], [], 0)[1] else 0
    return 0
