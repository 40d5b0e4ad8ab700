"""A process that passes on what comes to a container's published ports.

It holds the sockets on the host, so that what comes to them comes as to any program of the host: by the host's own
firewall, from 127.0.0.1 as from anywhere, also from the container itself. To the container it comes from the host's
address in the network, never from 127.0.0.1, which some programs trust (CVE-2021-20199).

One process a container, without rights; it ends with the container's first process. Bytes of TCP go from socket to
socket within the kernel (splice(2)).
"""

import _signal as signal  # signal itself costs an import of enum
import _socket as socket  # likewise
import errno
import os
import select
import struct
import time

from shepherd.runtime.bundle import state
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls

NOBODY = 65534
_CHUNK = 1 << 16  # a pipe's size
_ROUNDS = 16  # chunks of one connection before it is another's turn
_IDLE = 90.0  # seconds without a packet after which a UDP client is forgotten
_CLIENTS = 1024  # UDP clients of a port
_FDS = 6  # descriptors of a TCP connection: two sockets, two pipes
_LARGEST = 65535
_LATER = (errno.EAGAIN, errno.EWOULDBLOCK)
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50  # ip(7), ipv6(7)


def bind(port) -> tuple:
    """(socket, its port) for a Port of ports.py: the first of its candidates that is free. Raises RuntimeFailure."""
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    said = None
    for number in port.candidates():
        one = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            elif family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            else:
                one.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            one.bind((port.address, number))
            if kind == socket.SOCK_STREAM:
                one.listen(1024)
            return one, one.getsockname()[1]
        except OSError as error:
            one.close()
            said = error
            if error.errno != errno.EADDRINUSE:
                break
    hints = {
        errno.EADDRINUSE: "ss -lntup shows who has it",
        errno.EACCES: "ports below net.ipv4.ip_unprivileged_port_start (1024) are root's",
    }
    hint = hints.get(said.errno)
    raise RuntimeFailure("cannot publish %r: %s" % (port, said.strerror), hint)


def start(listeners: list, container: dict, keep, within=None) -> None:
    """Start the process. It serves nothing before `keep(pid)` has returned, and ends where that does not happen.

    `listeners`: (socket, protocol, (address, port) of where that goes). `container`: its first process, with pid and
    began. `within`: the descriptor of a network namespace from which the process connects, if not this one.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if not os.fork():  # so that its parent is nobody who has to wait for it
                _begin(listeners, container, theirs, within)
        finally:
            os._exit(0)
    theirs.close()
    try:
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            pass  # our caller ignores its children
        said = ours.recv(4)
        if len(said) != 4:
            raise RuntimeFailure("cannot start the process that publishes ports")
        keep(struct.unpack("=i", said)[0])
        ours.send(b"+")
    finally:
        ours.close()


def _begin(listeners, container, channel, within):
    """In the new process: never returns. When it has no rights and nothing of its maker's, it says its number."""
    status = 1
    try:
        for number in range(1, signal.NSIG):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass  # not to be caught
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        try:
            watched = syscalls.pidfd_open(container["pid"])
        except OSError:
            watched = None  # before Linux 5.3: looked for now and then
        if within is not None:
            syscalls.setns(within, syscalls.CLONE_NEWNET)
        kept = {one.fileno() for one, _protocol, _target in listeners} | {watched, channel.fileno()}
        _close_others(kept)
        null = os.open("/dev/null", os.O_RDWR)
        for number in {0, 1, 2} - kept:  # a caller without standard streams has other things there
            os.dup2(null, number)
        os.chdir("/")
        with open("/proc/self/comm", "w") as file:
            file.write("shepherd-ports")
        limit = _raise_limit()
        _drop_rights()
        channel.send(struct.pack("=i", os.getpid()))
        told = channel.recv(1)
        channel.close()
        if told and state.alive(container):
            Forwarder(listeners, watched, container, limit).run()
        status = 0
    finally:
        os._exit(status)


def _close_others(kept):
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that listed the folder


def _raise_limit():
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _drop_rights():
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        except OSError:  # a user namespace with few ids: it has the user's, and none of root's rights
            from shepherd.runtime.linux import capabilities

            capabilities.apply(set(), set(), set(), set(), set())
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)


def _socket_to(target, kind):
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


class _Flow:
    """Bytes from one socket to the other: source, pipe, target."""

    def __init__(self, source, target):
        self.source = source
        self.target = target
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.held = 0
        self.ended = False
        self.done = False

    def pump(self):
        """Move what can be moved. True: there may be more. Raises OSError when the connection is broken."""
        for _ in range(_ROUNDS):
            if not self.held and not self.ended:
                try:
                    self.held = syscalls.splice(self.source.fileno(), self.writer, _CHUNK)
                    self.ended = not self.held
                except OSError as error:
                    if error.errno in _LATER:
                        return False
                    raise
            if self.held:
                try:
                    self.held -= syscalls.splice(self.reader, self.target.fileno(), self.held)
                except OSError as error:
                    if error.errno in _LATER:
                        return False
                    raise
            elif self.ended:
                if not self.done:
                    self.done = True
                    self.target.shutdown(socket.SHUT_WR)
                return False
        return True

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


class _Connection:
    """A client's TCP connection and the one to the container that it is joined with."""

    def __init__(self, client, target):
        self.client = client
        self.server = _socket_to(target, socket.SOCK_STREAM)
        self.flows = []
        self.connected = False
        try:
            for one in (self.client, self.server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.server.connect_ex(target)
            self.flows = [_Flow(client, self.server)]
            self.flows.append(_Flow(self.server, client))
        except OSError:
            self.close(True)
            raise

    def pump(self):
        """True: there may be more at once. False: not now. None: it is over."""
        try:
            if not self.connected:
                error = self.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, os.strerror(error))
                try:
                    self.server.getpeername()
                except OSError:
                    return False  # still connecting
                self.connected = True
            more = [flow.pump() for flow in self.flows]
        except OSError:
            self.close(True)
            return None
        if all(flow.done for flow in self.flows):
            self.close(False)
            return None
        return any(more)

    def close(self, broken):
        for one in (self.client, self.server):
            if broken:  # tell the other side that this was no proper end
                try:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
            one.close()
        for flow in self.flows:
            flow.close()


class _Client:
    """Who sent to a UDP port of ours: the socket by which we talk to the container for it."""

    def __init__(self, listener, address, ancillary, target):
        self.listener = listener
        self.address = address
        self.ancillary = ancillary
        self.used = 0.0
        self.server = _socket_to(target, socket.SOCK_DGRAM)
        try:
            self.server.connect(target)
        except OSError:
            self.server.close()
            raise


class Forwarder:
    """The loop."""

    def __init__(self, listeners, watched, container, limit):
        self._watched = watched
        self._container = container
        self._most = max(1, (limit - 64) // (2 * _FDS))
        self._epoll = select.epoll()
        self._listeners = {one.fileno(): (one, protocol, target) for one, protocol, target in listeners}
        self._listening = True
        self._connections = {}  # descriptors of both sockets → _Connection
        self._clients = {}  # (descriptor of the listener, address) → _Client
        self._servers = {}  # descriptor → _Client
        self._ready = {}  # connections that may have more
        for descriptor in self._listeners:
            self._epoll.register(descriptor, select.EPOLLIN)
        if watched is not None:
            self._epoll.register(watched, select.EPOLLIN)

    def run(self) -> None:
        """Until the container's first process ends."""
        looked = time.monotonic()
        while True:
            timeout = 0 if self._ready else (30.0 if self._watched is not None else 1.0)
            again, self._ready = self._ready, {}
            for descriptor, _events in self._epoll.poll(timeout):
                if descriptor == self._watched:
                    return
                if descriptor in self._connections:
                    again[self._connections[descriptor]] = True
                elif descriptor in self._servers:
                    self._answer(self._servers[descriptor])
                elif descriptor in self._listeners:
                    one, protocol, target = self._listeners[descriptor]
                    (self._accept if protocol == "tcp" else self._receive)(one, target)
            for connection in again:
                self._pump(connection)
            now = time.monotonic()
            if now - looked > 1.0:
                looked = now
                self._forget(now)
                if self._watched is None and not state.alive(self._container):
                    return

    def _pump(self, connection):
        descriptors = connection.client.fileno(), connection.server.fileno()
        more = connection.pump()
        if more:
            self._ready[connection] = True
        elif more is None:
            for descriptor in descriptors:
                self._connections.pop(descriptor, None)
            if not self._listening and len(self._connections) < self._most:
                self._listen(True)

    def _listen(self, on):
        """With as many connections as there are descriptors for, new ones wait in the kernel."""
        self._listening = on
        for descriptor, (_one, protocol, _target) in self._listeners.items():
            if protocol == "tcp":
                self._epoll.modify(descriptor, select.EPOLLIN if on else 0)

    def _accept(self, listener, target):
        for _ in range(64):
            if len(self._connections) >= 2 * self._most:
                self._listen(False)
                return
            try:
                descriptor, _address = listener._accept()
            except OSError:
                return  # nobody, or somebody who has gone
            os.set_blocking(descriptor, False)
            client = socket.socket(listener.family, socket.SOCK_STREAM, 0, descriptor)
            try:
                connection = _Connection(client, target)
            except OSError:
                continue
            for one in (connection.client, connection.server):
                self._connections[one.fileno()] = connection
                self._epoll.register(
                    one.fileno(), select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
                )

    def _receive(self, listener, target):
        for _ in range(64):
            try:
                data, ancillary, _flags, address = listener.recvmsg(_LARGEST, 256)
            except OSError as error:
                if error.errno in _LATER:
                    return
                continue
            client = self._client(listener, address, ancillary, target)
            if client is not None:
                try:
                    client.server.send(data)
                except OSError:
                    pass  # nobody listens there: as with any packet

    def _client(self, listener, address, ancillary, target):
        key = listener.fileno(), address
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= _CLIENTS:
                self._drop(min(self._clients, key=lambda one: self._clients[one].used))
            try:
                client = _Client(listener, address, _answering(ancillary), target)
            except OSError:
                return None
            self._clients[key] = client
            self._servers[client.server.fileno()] = client
            self._epoll.register(client.server.fileno(), select.EPOLLIN)
        client.used = time.monotonic()
        return client

    def _answer(self, client):
        for _ in range(64):
            try:
                data = client.server.recv(_LARGEST)
            except OSError:
                return  # no more, or the container said that nobody listens
            client.used = time.monotonic()
            try:
                client.listener.sendmsg([data], client.ancillary, 0, client.address)
            except OSError:
                pass

    def _forget(self, now):
        for key in [key for key, client in self._clients.items() if now - client.used > _IDLE]:
            self._drop(key)

    def _drop(self, key):
        client = self._clients.pop(key)
        del self._servers[client.server.fileno()]
        client.server.close()


def _answering(ancillary):
    """From which of the host's addresses the answer has to come: the one that was asked (IP_PKTINFO of ip(7))."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) == 12:
            _index, local, _destination = struct.unpack("=i4s4s", data)
            return [(level, kind, struct.pack("=i4s4s", 0, local, b"\0\0\0\0"))]
        if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO) and len(data) == 20:
            return [(level, kind, data[:16] + struct.pack("=i", 0))]
    return []
