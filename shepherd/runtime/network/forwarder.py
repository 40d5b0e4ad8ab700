"""A process that passes on what comes to published ports: of one container, or of several that share them (front.py).

It holds the sockets on the host, so that what comes to them comes as to any program of the host: by the host's own
firewall, from 127.0.0.1 as from anywhere, also from the container itself. To the container it comes from the host's
address in the network, never from 127.0.0.1, which some programs trust (CVE-2021-20199).

It has no rights, and ends with the first process of the last of its containers.
"""

import _socket as socket  # socket itself costs an import of enum
import os
import select
import struct
import time

from shepherd.runtime.bundle import document, state
from shepherd.runtime.linux import syscalls
from shepherd.runtime.network import serving
from shepherd.runtime.network.connections import BOTH, LATER, Client, Connection, Refused

_IDLE = 90.0  # seconds without a packet after which a UDP client is forgotten
_CLIENTS = 1024  # UDP clients of all ports
_FDS = 6  # descriptors of a TCP connection: two sockets, two pipes
_LARGEST = 65535
_REQUEST = 1 << 16  # bytes
_PATIENCE = 2.0  # seconds for one who tells us something to do so
_EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


class Member:
    """A container that ports lead to. `targets`: (address, port) by the keys of listeners."""

    def __init__(self, identity, told):
        self.identity = identity
        self.process = {"pid": told["pid"], "began": told["began"]}
        self.connections = set()
        self.take(told)
        try:
            self.watched = syscalls.pidfd_open(told["pid"])
        except OSError:
            self.watched = None  # before Linux 5.3: looked for now and then

    def take(self, told):
        """What is said of it now."""
        self.targets = {key: tuple(target) for key, target in told["targets"].items()}
        self.held, self.ill = bool(told.get("held")), bool(told.get("ill"))


class Forwarder:
    """The loop. `listeners`: sockets by their keys."""

    def __init__(self, listeners, members, control, limit):
        self._control = control
        self._most = max(1, (limit - 64) // (2 * _FDS))
        self._epoll = select.epoll()
        self._listeners = {}  # key → socket
        self._keys = {}  # descriptor of a listener → key
        self._open = True  # whether connections are taken, or too many are there
        self._members = {}
        self._watched = {}  # descriptor of a first process → Member
        self._connections = {}  # descriptors of both sockets → Connection, whether it is the client's
        self._clients = {}  # (descriptor of the listener, address) → Client
        self._servers = {}  # descriptor → Client
        self._ready = {}  # connections that may have more → which of their flows
        self._turn = 0
        if control is not None:
            self._epoll.register(control, select.EPOLLIN)
        self._listen(listeners)
        self.tell(members)

    def tell(self, members: dict) -> None:
        """What the members are from now on.

        {id: {"pid", "began", "targets": {key: [address, port]}, "held": no new connections, "ill": only if no other}}
        """
        for identity in [one for one in self._members if one not in members]:
            self._lose(self._members[identity])
        for identity, told in members.items():
            member = self._members.get(identity)
            if member is not None and member.process["began"] != told["began"]:
                self._lose(member)
                member = None
            if member is None:
                self._meet(Member(identity, told))
            else:
                member.take(told)
                for connection in member.connections:
                    connection.retire(member.held)
        for key in [key for key in self._listeners if not any(key in one.targets for one in self._members.values())]:
            one = self._listeners.pop(key)
            del self._keys[one.fileno()]
            one.close()
        self._leave_held()
        self._set_interest()

    def run(self) -> None:
        """Until there is no member any more."""
        looked = time.monotonic()
        while self._members:
            patient = all(one.watched is not None for one in self._members.values())
            again, self._ready = self._ready, {}
            for descriptor, events in self._epoll.poll(0 if again else 30.0 if patient else 1.0):
                if descriptor in self._connections:
                    connection, to_client = self._connections[descriptor]
                    again[connection] = again.get(connection, 0) | connection.happened(events, to_client)
                elif descriptor in self._servers:
                    self._answer(self._servers[descriptor])
                elif descriptor in self._keys:
                    key = self._keys[descriptor]
                    (self._accept if key.startswith("tcp") else self._receive)(self._listeners[key], key)
                elif descriptor in self._watched:
                    self._lose(self._watched[descriptor])
                    self._set_interest()
                elif self._control is not None and descriptor == self._control.fileno():
                    self._hear()
            for connection, which in again.items():
                self._pump(connection, which)
            now = time.monotonic()
            if now - looked > 1.0:
                looked = now
                self._forget(now)
                for member in [one for one in self._members.values() if one.watched is None]:
                    if not state.alive(member.process):
                        self._lose(member)
                        self._set_interest()

    # Members

    def _meet(self, member):
        if not state.alive(member.process):
            if member.watched is not None:
                os.close(member.watched)
            return
        self._members[member.identity] = member
        if member.watched is not None:
            self._watched[member.watched] = member
            self._epoll.register(member.watched, select.EPOLLIN)

    def _lose(self, member):
        """It has ended, or is none of ours any more: so do its connections."""
        self._members.pop(member.identity, None)
        if member.watched is not None:
            self._watched.pop(member.watched, None)
            os.close(member.watched)
        for connection in list(member.connections):
            self._end(connection, not connection.idle)
        for client in [one for one in self._servers.values() if one.member is member]:
            self._drop(client)

    def _choose(self, key, tried=()):
        """The member with the fewest connections among those that are well; None where there is none to be tried."""
        found = [one for one in self._members.values() if key in one.targets and not one.held]
        found = [one for one in found if not one.ill] or found
        found = [one for one in found if one.identity not in tried]
        if not found:
            return None
        self._turn += 1
        first = self._turn % len(found)
        return min(found[first:] + found[:first], key=lambda one: len(one.connections))

    def _leave_held(self):
        """UDP clients of those that are to have no new ones: what they send goes to others, late answers come still."""
        for client in [one for one in self._clients.values() if one.member.held]:
            del self._clients[client.listener.fileno(), client.address]

    # Listeners

    def _listen(self, listeners):
        for key, one in listeners.items():
            self._listeners[key] = one
            self._keys[one.fileno()] = key
            if key.startswith("tcp"):  # those that are accepted have it from here (tcp(7))
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._epoll.register(one.fileno(), 0)

    def _set_interest(self):
        """What comes while there are too many connections, or nobody to have it, waits in the kernel."""
        for key, one in self._listeners.items():
            wanted = (self._open or not key.startswith("tcp")) and self._choose(key) is not None
            self._epoll.modify(one.fileno(), select.EPOLLIN if wanted else 0)

    # What we are told

    def _hear(self):
        """A request: b"look"; b"tell" with a file that says the members, and new listeners as it names them; or
        b"dismiss" with ids of members, whose quiet connections are to end."""
        try:
            descriptor, _address = self._control._accept()
        except OSError:
            return
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
        received = []
        try:
            peer.settimeout(_PATIENCE)
            data, ancillary, _flags, _address = peer.recvmsg(_REQUEST, socket.CMSG_SPACE(4 * (serving.SOCKETS + 1)))
            for _level, _kind, content in ancillary:
                received += struct.unpack("=%di" % (len(content) // 4), content)
            if data.startswith(b"tell"):
                self._told(data[4:].decode("ascii").split(), received)
            elif data.startswith(b"dismiss"):
                for identity in data[7:].decode("ascii").split():
                    self._dismiss(identity)
            peer.send(document.dumps(self._shown()).encode("ascii"))
        except OSError:
            pass  # who asked has gone
        finally:
            peer.close()
            for one in received:
                os.close(one)

    def _told(self, keys, received):
        new = {}
        for key in keys:
            family = socket.AF_INET6 if "[" in key else socket.AF_INET
            kind = socket.SOCK_STREAM if key.startswith("tcp") else socket.SOCK_DGRAM
            new[key] = socket.socket(family, kind, 0, received.pop(1))
            new[key].setblocking(False)
        self._listen(new)
        with open(received.pop(0), "rb") as file:
            self.tell(document.loads(file.read(), "members"))

    def _dismiss(self, identity):
        member = self._members.get(identity)
        for connection in list(member.connections) if member is not None and member.held else ():
            try:
                ended = connection.dismiss()
            except Refused:
                continue  # it finds out by itself
            if ended:
                self._end(connection, False)

    def _shown(self):
        return {
            "ports": sorted(self._listeners),
            "connections": {identity: len(one.connections) for identity, one in self._members.items()},
        }

    # TCP

    def _pump(self, connection, which=BOTH):
        try:
            more = connection.pump(which)
        except Refused:
            self._retry(connection)
            return
        if more:
            self._ready[connection] = more
        elif more is None:
            self._end(connection, False)

    def _join(self, connection):
        for to_client, one in enumerate((connection.server, connection.client)):
            connection.descriptors.append(one.fileno())
            self._connections[one.fileno()] = connection, to_client
            self._epoll.register(one.fileno(), _EDGES)

    def _retry(self, connection):
        """Another container may take it: nothing of what the client sent has been read."""
        member = self._choose(connection.key, connection.tried)
        self._part(connection)
        connection.member.connections.discard(connection)
        if member is None:
            self._end(connection, True)
            return
        self._epoll.unregister(connection.client.fileno())
        try:
            connection.connect(member)
        except OSError:
            return
        self._join(connection)

    def _part(self, connection):
        for descriptor in connection.descriptors:
            del self._connections[descriptor]
        connection.descriptors = []

    def _end(self, connection, broken):
        self._part(connection)
        connection.close(broken)
        if not self._open and len(self._connections) < self._most:
            self._open = True
            self._set_interest()

    def _accept(self, listener, key):
        """One at a time, for others have something, too: to be told again takes as long as to find that it was all."""
        if len(self._connections) >= 2 * self._most:
            self._open = False
            self._set_interest()
            return
        member = self._choose(key)
        if member is None:
            return
        try:
            descriptor, _address = listener._accept()
        except OSError:
            return  # somebody who has gone
        os.set_blocking(descriptor, False)
        client = socket.socket(listener.family, socket.SOCK_STREAM, 0, descriptor)
        try:
            connection = Connection(client, key, member)
        except OSError:
            client.close()
            return
        self._join(connection)

    # UDP

    def _receive(self, listener, key):
        for _ in range(64):
            try:
                data, ancillary, _flags, address = listener.recvmsg(_LARGEST, 256)
            except OSError as error:
                if error.errno in LATER:
                    return
                continue
            client = self._client(listener, address, ancillary, key)
            if client is not None:
                client.send(data)

    def _client(self, listener, address, ancillary, key):
        client = self._clients.get((listener.fileno(), address))
        if client is None:
            if len(self._servers) >= _CLIENTS:
                self._drop(min(self._servers.values(), key=lambda one: one.used))
            member = self._choose(key)
            try:
                client = Client(listener, address, ancillary, key, member) if member is not None else None
            except OSError:
                return None
            if client is None:
                return None
            self._clients[listener.fileno(), address] = client
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
        for client in [one for one in self._servers.values() if now - one.used > _IDLE]:
            self._drop(client)

    def _drop(self, client):
        if self._clients.get((client.listener.fileno(), client.address)) is client:
            del self._clients[client.listener.fileno(), client.address]
        del self._servers[client.server.fileno()]
        client.server.close()
