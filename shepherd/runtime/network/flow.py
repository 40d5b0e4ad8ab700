"""Bytes of a TCP connection on their way from one socket to the other.

What is little is read and written: two calls, for a read that does not fill its buffer has taken all (epoll(7)). Much
stays in the kernel, by a pipe (splice(2)). It is not looked at, but for two things: how a client begins; and one
that talks HTTP/1.1 to a container that is about to go is told with the next answer that the connection ends.
"""

import _socket as socket  # socket itself costs an import of enum
import os

from shepherd.runtime.linux import syscalls

_BUFFER = memoryview(bytearray(1 << 15))  # for all of them: nothing stays in it
_CHUNK = 1 << 16  # a pipe's size
_MUCH = 1 << 14  # less at a time is copied
_ROUNDS = 16  # reads of one flow before it is another's turn
_HEAD = 4096  # bytes in which the first line of an answer ends, and in which a request asks for another protocol
_ANSWER = b"HTTP/1.1 "  # RFC 9112, section 4; HTTP/1.0 ends its connections by itself
_CLOSE = b"Connection: close\r\n"  # RFC 9112, section 9.6


class Flow:
    """From source to target, both of them sockets that do not wait."""

    def __init__(self, source, target):
        self.source = source
        self.target = target
        self.other = None  # the one in the other direction
        self.first = None  # called once, with the first bytes
        self.hung = False  # the source was heard to have ended: its end comes after what is read now
        self.ended = False  # its end has been read
        self.done = False  # and passed on
        self.answers = False  # the other direction was the last that had something: what comes next begins an answer
        self.farewell = False  # say that the connection ends with the next answer
        self._much = False
        self._rest = b""  # read and not written
        self._reader = self._writer = None  # the pipe, of one that has had much to move
        self._held = 0  # bytes in it

    @property
    def pending(self):
        """Whether something waits until the target takes it."""
        return bool(self._rest or self._held)

    def pump(self):
        """Move what can be moved. True: there may be more. Raises OSError when the connection is broken."""
        try:
            if self._rest:
                self._send(self._rest)
            if self._held:
                self._drain()
            for _ in range(_ROUNDS):
                if self.ended:
                    break
                if self.farewell and self.answers and self._say_farewell():
                    continue
                if not (self._splice() if self._much else self._copy()):
                    return False
        except BlockingIOError:
            return False
        if self.ended and not self.done:
            self.done = True
            self.target.shutdown(socket.SHUT_WR)
        return not self.ended

    def _copy(self):
        """Whether there may be more. Raises BlockingIOError where nothing came, or the target takes no more."""
        size = self.source.recv_into(_BUFFER)
        if not size:
            self.ended = True
            return True
        self._came()
        if self.first is not None:
            first, self.first = self.first, None
            first(bytes(_BUFFER[: min(size, _HEAD)]))
        self._much = size == len(_BUFFER)
        self._send(_BUFFER[:size])
        return self._much or self.hung

    def _send(self, data):
        try:
            sent = self.target.send(data)
        except BlockingIOError:
            sent = 0
        self._rest = bytes(data[sent:])
        if self._rest:
            raise BlockingIOError

    def _splice(self):
        """The same; how much there was says nothing of what is left, for a pipe has few places for small pieces."""
        if self._writer is None:
            self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._held = syscalls.splice(self.source.fileno(), self._writer, _CHUNK)
        if not self._held:
            self.ended = True
            return True
        self._came()
        self._much = self._held >= _MUCH
        self._drain()
        return True

    def _drain(self):
        while self._held:
            self._held -= syscalls.splice(self._reader, self.target.fileno(), self._held)

    def _came(self):
        self.answers = False
        self.other.answers = True

    def _say_farewell(self):
        """Put `Connection: close` behind the first line of an answer that begins here, before its other fields.

        Whether anything has been passed on.
        """
        data = self.source.recv(_HEAD, socket.MSG_PEEK)
        end = data.find(b"\r\n") + 2
        status = data[len(_ANSWER) : len(_ANSWER) + 3]
        if not data.startswith(_ANSWER) or end < 2 or not status.isdigit():
            return False
        if status.startswith(b"1"):  # an interim answer (RFC 9110, section 15.2): the one that counts comes after it
            end = data.find(b"\r\n\r\n") + 4
            self.farewell = status != b"101"  # from there it is another protocol
            if end < 4 or not self.farewell:
                return False
            self._send(self.source.recv(end))
            return True
        self._came()
        self._send(self.source.recv(end) + _CLOSE)
        return True

    def close(self):
        """Let go of the pipe."""
        for descriptor in (self._reader, self._writer):
            if descriptor is not None:
                os.close(descriptor)
