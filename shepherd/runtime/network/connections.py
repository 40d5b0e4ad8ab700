"""What passes through the process that publishes ports: connections of TCP, clients of UDP."""

import _socket as socket  # socket itself costs an import of enum
import errno
import os
import select
import struct

from shepherd.runtime.network.flow import Flow
from shepherd.runtime.network.listening import IP_PKTINFO, IPV6_PKTINFO

LATER = (errno.EAGAIN, errno.EWOULDBLOCK)
BOTH = 3
_BROKEN = select.EPOLLERR | select.EPOLLHUP
_ENDED = _BROKEN | select.EPOLLRDHUP
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")  # RFC 9110, 5789


class Refused(OSError):  # noqa: N818  # what became of a connection
    """The container takes no connections; nothing of the client's has been read yet."""


class Connection:
    """A client's TCP connection and the one to a container that it is joined with."""

    def __init__(self, client, key, member):
        self.client = client
        self.key = key
        self.tried = set()
        self.flows = []  # answers, and what is asked
        self.server = None
        self.descriptors = []  # by which the loop knows it
        self.closed = False
        self.http = None  # whether it talks HTTP/1; not known before the client has said something
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
        answers, asked = self.flows = [Flow(self.server, self.client), Flow(self.client, self.server)]
        answers.other, asked.other = asked, answers
        asked.first = self._listen
        member.connections.add(self)

    def happened(self, events, to_client):
        """What to `pump` after these events of epoll(7) at one of its sockets."""
        if not self.connected and not to_client:
            # an error is asked for when it is pumped; what the client has said meanwhile waits
            self.connected = bool(events & select.EPOLLOUT) and not events & _BROKEN
            return BOTH
        which = 0
        if events & _ENDED:
            self.flows[to_client].hung = True
            which = BOTH if events & _BROKEN else 1 << to_client
        if events & select.EPOLLIN:
            which |= 1 << to_client
        if events & select.EPOLLOUT and self.flows[not to_client].pending:
            which |= 1 << (not to_client)
        return which

    def pump(self, which=BOTH):
        """The flows of `which` (1: answers, 2: what is asked): those that may have more at once; None: it is over.

        Raises Refused.
        """
        if self.closed:
            return None
        if not self.connected:
            error = 0 if self._error == errno.EINPROGRESS else self._error
            error = error or self.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise Refused(error, os.strerror(error))
            return 0  # still connecting
        answers, asked = self.flows
        try:
            more = 1 if which & 1 and answers.pump() else 0  # first: they were before what is asked now
            if which & 2 and asked.pump():
                more |= 2
        except OSError:
            self.close(True)
            return None
        if answers.done and asked.done:
            self.close(False)
            return None
        return more

    def _listen(self, data):
        """How the client begins."""
        self.http = data.startswith(_METHODS) and b"\r\nupgrade:" not in data.lower()  # which may lead to WebSocket
        self.retire(self.member.held)

    def retire(self, on):
        """Whether it should end when it can."""
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
        return self.connected and not self.flows[0].answers and not any(flow.pending for flow in self.flows)

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

    def send(self, data) -> None:
        """To the container; where nobody listens there it is lost, as any packet is."""
        for _ in range(2):  # what is told the first time may be an earlier packet's error: this one was not sent
            try:
                self.server.send(data)
                return
            except OSError:
                continue


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
