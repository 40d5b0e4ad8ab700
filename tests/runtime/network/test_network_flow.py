"""Bytes between two sockets, told of by edges as the process that serves ports is (epoll(7))."""

from __future__ import annotations

import random
import select
import socket
import threading

import pytest

from shepherd.runtime.network.connections import _ENDED
from shepherd.runtime.network.flow import Flow

EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
PATIENCE = 20.0


class Joined:
    """client ── source, target ── server, with a Flow between source and target, and one back."""

    def __init__(self) -> None:
        (self.client, self.source), (self.target, self.server) = socket.socketpair(), socket.socketpair()
        self.flow, self.back = Flow(self.source, self.target), Flow(self.target, self.source)
        self.flow.other, self.back.other = self.back, self.flow
        self.epoll = select.epoll()
        for one in (self.source, self.target):
            one.setblocking(False)
            self.epoll.register(one.fileno(), EDGES)
        for end in (self.client, self.server):
            end.settimeout(PATIENCE)

    def run(self) -> None:
        """Until all that came from the client, and its end, has been passed on; nothing is tried without an event."""
        more = False
        while not self.flow.done:
            found = self.epoll.poll(0 if more else PATIENCE)
            assert found or more, "nothing is heard of what is left"
            for number, events in found:
                if number == self.source.fileno():
                    self.flow.hung = self.flow.hung or bool(events & _ENDED)
                    more = True
                elif events & select.EPOLLOUT and self.flow.pending:
                    more = True
            more = more and self.flow.pump()

    def close(self) -> None:
        self.epoll.close()
        for flow in (self.flow, self.back):
            flow.close()
        for one in (self.client, self.source, self.target, self.server):
            one.close()


@pytest.fixture
def joined():
    made = Joined()
    yield made
    made.close()


@pytest.mark.parametrize("size", [0, 1, (1 << 15) - 1, 1 << 15, (1 << 15) + 1])
def test_the_end_that_was_there_with_the_last_bytes_is_passed_on(joined, size):
    data = random.Random(size).randbytes(size)  # noqa: S311
    joined.client.sendall(data)
    joined.client.shutdown(socket.SHUT_WR)
    joined.run()
    assert received(joined.server) == data


@pytest.mark.parametrize("pieces", [[1 << 22], [7] * 3 + [1 << 20] + [7] * 3, [40000] * 30])
def test_all_comes_in_order_to_one_who_reads_slowly(joined, pieces):
    chance = random.Random(1)  # noqa: S311
    data = [chance.randbytes(size) for size in pieces]

    def send() -> None:
        for piece in data:
            joined.client.sendall(piece)
        joined.client.shutdown(socket.SHUT_WR)

    said: list[bytes] = []
    threads = [
        threading.Thread(target=send),
        threading.Thread(target=lambda: said.append(received(joined.server, 1 << 12))),
    ]
    for one in threads:
        one.start()
    joined.run()
    for one in threads:
        one.join()
    assert said == [b"".join(data)]


def received(end: socket.socket, most: int = 1 << 16) -> bytes:
    found = bytearray()
    while data := end.recv(most):
        found += data
    return bytes(found)
