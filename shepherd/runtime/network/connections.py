"""What passes through the process that publishes ports: connections of TCP, clients of UDP.

Bytes of TCP go from socket to socket within the kernel (splice(2)). What is in them is not looked at, but for one
thing: who talks HTTP/1.1 to a container that is about to go is told with the next answer that the connection ends.
"""

import _socket as socket  # socket itself costs an import of enum
import errno
import os
import struct

from shepherd.runtime.linux import syscalls
from shepherd.runtime.network.listening import IP_PKTINFO, IPV6_PKTINFO

LATER = (errno.EAGAIN, errno.EWOULDBLOCK)
_CHUNK = 1 << 16  # a pipe's size
_ROUNDS = 16  # chunks of one connection before it is another's turn
_HEAD = 4096  # bytes in which the first line of an answer ends, and in which a request asks for another protocol
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")  # RFC 9110, 5789
_ANSWER = b"HTTP/1.1 "  # RFC 9112, section 4; HTTP/1.0 ends its connections by itself
_CLOSE = b"Connection: close\r\n"  # RFC 9112, section 9.6


class Refused(OSError):  # noqa: N818  # what became of a connection
    """The container takes no connections; nothing of the client's has been read yet."""


class Flow:
    """Bytes from one socket to the other: source, pipe, target."""

    def __init__(self, source, target):
        self.source = source
        self.target = target
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.held = 0
        self.ended = False
        self.done = False
        self.other = None  # the one in the other direction
        self.answers = False  # the other direction was the last that had something: what comes next begins an answer
        self.farewell = False  # say that the connection ends with the next answer

    def pump(self):
        """Move what can be moved. True: there may be more. Raises OSError when the connection is broken."""
        for _ in range(_ROUNDS):
            if not self.held and not self.ended:
                try:
                    if self.farewell and self.answers:
                        self._say_farewell()
                    if not self.held:
                        self.held = syscalls.splice(self.source.fileno(), self.writer, _CHUNK)
                        self.ended = not self.held
                        self.answers = False
                        self.other.answers = self.other.answers or bool(self.held)
                except OSError as error:
                    if error.errno in LATER:
                        return False
                    raise
            if self.held:
                try:
                    self.held -= syscalls.splice(self.reader, self.target.fileno(), self.held)
                except OSError as error:
                    if error.errno in LATER:
                        return False
                    raise
            elif self.ended:
                if not self.done:
                    self.done = True
                    self.target.shutdown(socket.SHUT_WR)
                return False
        return True

    def _say_farewell(self):
        """Put `Connection: close` behind the first line of an answer that begins here, before its other fields."""
        data = self.source.recv(_HEAD, socket.MSG_PEEK)
        end = data.find(b"\r\n") + 2
        status = data[len(_ANSWER) : len(_ANSWER) + 3]
        if not data.startswith(_ANSWER) or end < 2 or not status.isdigit():
            return
        if status.startswith(b"1"):  # an interim answer (RFC 9110, section 15.2): the one that counts comes after it
            end = data.find(b"\r\n\r\n") + 4
            self.farewell = status != b"101"  # from there it is another protocol
            if end >= 4 and self.farewell:
                self.held = os.write(self.writer, self.source.recv(end))
            return
        self.held = os.write(self.writer, self.source.recv(end) + _CLOSE)
        self.answers = False

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


class Connection:
    """A client's TCP connection and the one to a container that it is joined with."""

    def __init__(self, client, key, member):
        self.client = client
        self.key = key
        self.tried = set()
        self.flows = []
        self.server = None
        self.descriptors = []  # by which the loop knows it
        self.closed = False
        self.http = None  # whether it talks HTTP/1; not known before the client has said something
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.connect(member)

    def connect(self, member):
        """To another container than before. Raises OSError, with all closed."""
        if self.server is not None:
            self.server.close()
        self.member = member
        self.tried.add(member.identity)
        self.connected = False
        try:
            target = member.targets[self.key]
            self.server = socket_to(target, socket.SOCK_STREAM)
            self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._error = self.server.connect_ex(target)
        except OSError:
            self.close(True)
            raise
        member.connections.add(self)

    def pump(self):
        """True: there may be more at once. False: not now. None: it is over. Raises Refused."""
        if self.closed:
            return None
        if not self.connected:
            error = 0 if self._error == errno.EINPROGRESS else self._error
            error = error or self.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise Refused(error, os.strerror(error))
            try:
                self.server.getpeername()
            except OSError:
                return False  # still connecting
            self.connected = True
        try:
            if not self.flows:
                self.flows = [Flow(self.server, self.client)]  # answers first: they were before what is asked now
                self.flows.append(Flow(self.client, self.server))
                self.flows[0].other, self.flows[1].other = self.flows[1], self.flows[0]
            if self.http is None:
                self._listen()
            more = [flow.pump() for flow in self.flows]
        except OSError:
            self.close(True)
            return None
        if all(flow.done for flow in self.flows):
            self.close(False)
            return None
        return any(more)

    def _listen(self):
        """How the client begins."""
        try:
            data = self.client.recv(_HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            return
        self.http = data.startswith(_METHODS) and b"\r\nupgrade:" not in data.lower()  # which may lead to WebSocket
        self.retire(self.member.held)

    def retire(self, on):
        """Whether it should end when it can."""
        if self.flows:
            self.flows[0].farewell = on and bool(self.http)

    def close(self, broken):
        """`broken`: tell both sides that this was no proper end."""
        if self.closed:
            return
        self.closed = True
        self.member.connections.discard(self)
        for one in (self.client, self.server):
            if one is not None:
                if broken:
                    try:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    except OSError:
                        pass
                one.close()
        for flow in self.flows:
            flow.close()

    @property
    def idle(self):
        """Whether nothing is under way: no bytes of either side, and the last that came were the container's."""
        return bool(self.flows) and not self.flows[0].answers and not any(flow.held for flow in self.flows)

    def dismiss(self):
        """End it now, if it talks HTTP/1 and nothing is under way: whether it has ended."""
        if self.pump() is not None and self.http and self.idle:
            self.close(False)
        return self.closed


class Client:
    """Who sent to a UDP port of ours: the socket by which we talk to a container for it."""

    def __init__(self, listener, address, ancillary, key, member):
        self.listener = listener
        self.address = address
        self.ancillary = answering(ancillary)
        self.member = member
        self.used = 0.0
        self.server = socket_to(member.targets[key], socket.SOCK_DGRAM)
        try:
            self.server.connect(member.targets[key])
        except OSError:
            self.server.close()
            raise


def socket_to(target, kind):
    """A socket that can be connected to an (address, port)."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def answering(ancillary):
    """From which of the host's addresses the answer has to come: the one that was asked (IP_PKTINFO of ip(7))."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) == 12:
            _index, local, _destination = struct.unpack("=i4s4s", data)
            return [(level, kind, struct.pack("=i4s4s", 0, local, b"\0\0\0\0"))]
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO) and len(data) == 20:
            return [(level, kind, data[:16] + struct.pack("=i", 0))]
    return []
