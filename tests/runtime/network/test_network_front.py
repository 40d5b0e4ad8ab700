"""Ports that containers publish together: spread over those that are well, handed over between two connections."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from places import Box, eventually, exchange, receive

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import attach, front, records

pytestmark = pytest.mark.lab
OPTIONS = {"network": ["net"], "ports": ["8080:80"], "front": "shop", "aliases": ["shop"]}


@pytest.fixture
def pair(host):
    """Two containers that share a port, and listen."""
    host.runtime("network", "create", "net")
    boxes = [host.box(name, **OPTIONS) for name in ("one", "two")]
    listeners = [box.listen(80) for box in boxes]
    yield list(zip(boxes, listeners, strict=True))
    for one in listeners:
        one.close()


def switch(host, serve, hold):
    host.call(attach.switch, "shop", {one.id: one.name for one in serve}, {one.id: one.name for one in hold})


def counts(host, dismiss=()):
    return host.call(attach.connections, "shop", dismiss)


def test_connections_are_spread(host, pair):
    (one, first), (two, second) = pair
    clients = [host.connect("127.0.0.1", 8080) for _ in range(8)]
    served = [server.accept()[0] for server in (first, second) for _ in range(4)]
    assert counts(host) == {one.id: 4, two.id: 4}
    for end in clients + served:
        end.close()
    eventually(lambda: counts(host) == {one.id: 0, two.id: 0})
    assert len(host.forwarders()) == 1


def test_from_one_to_the_other_between_two_connections(host, pair):
    (one, first), (two, second) = pair
    witness = host.box("witness", network=["net"])
    switch(host, [one], [two])
    assert witness.hosts()["shop"] == {one.address("net")}
    with host.connect("127.0.0.1", 8080) as before, first.accept()[0] as served:
        switch(host, [two], [one])
        assert witness.hosts()["shop"] == {two.address("net")}
        for _ in range(4):
            exchange(host.connect("127.0.0.1", 8080), second)
        before.sendall(b"still")
        assert receive(served, 5) == b"still"
        assert counts(host)[one.id] == 1
    eventually(lambda: counts(host)[one.id] == 0)
    two.detach()
    with host.connect("127.0.0.1", 8080) as waiting:  # nobody is to have it: it waits
        switch(host, [one], [])
        exchange(waiting, first)


def test_who_is_ill_or_refuses_is_passed_over_while_another_is_there(host):
    host.runtime("network", "create", "net")
    one, two = (host.box(name, **OPTIONS, checked=True) for name in ("one", "two"))
    with one.listen(80) as first, two.listen(80) as second:
        host.call(attach.set_ill, two.id, bool)
        for _ in range(3):
            exchange(host.connect("127.0.0.1", 8080), second)
        host.call(attach.set_ill, one.id, bool)
        second.close()
        for _ in range(3):
            exchange(host.connect("127.0.0.1", 8080), first)
    with pytest.raises(ConnectionResetError):  # in time to be told by connect(2), or later
        host.connect("127.0.0.1", 8080).recv(1)


def test_who_dies_is_left_out_and_the_last_takes_the_process_with_it(host, pair):
    (one, _first), (two, second) = pair
    one.end()
    eventually(lambda: one.id not in counts(host))
    for _ in range(3):
        exchange(host.connect("127.0.0.1", 8080), second)
    two.end()
    eventually(lambda: not host.forwarders())
    host.call(attach.sweep)
    assert host.call(lambda: front.names(records.Records())) == []


def test_a_killed_process_is_started_again(host, pair, monkeypatch):
    (one, first), (_two, second) = pair
    switch(host, [], [one])
    for look in (lambda: attach.serving(one.id), attach.sweep):
        (pid,) = host.forwarders()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not host.forwarders())
        host.call(look)
        assert len(host.forwarders()) == 1
        exchange(host.connect("127.0.0.1", 8080), second)
    monkeypatch.setattr(front, "_PATIENCE", 0.5)
    os.kill(host.forwarders()[0], signal.SIGSTOP)  # it does not answer: another one takes over
    switch(host, [one], [])
    assert len(host.forwarders()) == 1
    first.close()
    exchange(host.connect("127.0.0.1", 8080), second)


def test_ports_come_and_go_with_who_has_them(host, pair):
    (one, _first), (two, second) = pair
    one.detach()
    third = host.box("three", **{**OPTIONS, "ports": ["8080:81", "9090:82", "9091:82/udp"]}, held=True)
    with third.listen(81) as server, third.listen(82) as other, host.connect("127.0.0.1", 9090) as waiting:
        exchange(host.connect("127.0.0.1", 8080), second)
        switch(host, [third], [two])
        exchange(host.connect("127.0.0.1", 8080), server)
        exchange(waiting, other)
        two.detach()
        exchange(host.connect("127.0.0.1", 8080), server)
    four = Box(host, "four")
    host.boxes["four"] = four
    with host.listen(9999, "127.0.0.1"), pytest.raises(RuntimeFailure, match="9999"):
        four.attach(**{**OPTIONS, "ports": ["9999:80"]})
    four.attach(**{**OPTIONS, "ports": ["8080:80"]})
    third.detach()
    with pytest.raises(ConnectionRefusedError):
        host.connect("127.0.0.1", 9090)
    with four.listen(80) as server:
        exchange(host.connect("127.0.0.1", 8080), server)


def test_clients_of_udp_go_over_and_late_answers_come(host):
    host.runtime("network", "create", "net")
    options = {**OPTIONS, "ports": ["5300:53/udp"]}
    one, two = host.box("one", **options), host.box("two", **options, held=True)
    with one.listen(53, kind=socket.SOCK_DGRAM) as first, two.listen(53, kind=socket.SOCK_DGRAM) as second:
        client = host.connect("127.0.0.1", 5300, socket.SOCK_DGRAM)
        client.send(b"question")
        _data, address = first.recvfrom(100)
        switch(host, [two], [one])
        client.send(b"another")
        assert second.recv(100) == b"another"
        first.sendto(b"late", address)
        assert client.recv(100) == b"late"
        client.close()


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FAREWELL = ANSWER.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def test_who_talks_http_is_told_with_the_next_answer(host, pair):
    (one, first), (two, _second) = pair
    switch(host, [one], [two])
    ends = [(host.connect("127.0.0.1", 8080), first.accept()[0]) for _ in range(8)]
    asked, idle, interim, streaming, other, quiet, upgraded, silent = ends

    def ask(pair, text=b"GET / HTTP/1.1\r\n\r\n"):
        pair[0].sendall(text)
        assert receive(pair[1], len(text)) == text

    def answer(pair, text, expected=None):
        pair[1].sendall(text)
        assert receive(pair[0], len(expected or text)) == (expected or text)

    for pair_of_ends in (idle, streaming, quiet):
        ask(pair_of_ends)
        answer(pair_of_ends, ANSWER)
    ask(upgraded, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
    answer(upgraded, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    for pair_of_ends in (asked, interim, streaming):
        ask(pair_of_ends)
    answer(streaming, b"HTTP/1.1 200 OK\r\n\r\nbegun")
    switch(host, [two], [one])
    answer(asked, ANSWER, FAREWELL)  # it was under way
    answer(asked, ANSWER)  # the rest of the same answer, whatever it looks like
    ask(idle)
    answer(idle, ANSWER, FAREWELL)
    answer(interim, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ANSWER,
           b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + FAREWELL)  # fmt: skip
    answer(streaming, ANSWER)  # in the middle of a body
    ask(streaming)  # and the next one is under way
    ask(other, b"EHLO\r\n")
    answer(other, b"250 HTTP/1.1 is none of mine\r\n")
    assert counts(host, [one.id])[one.id] == 4  # those that are under way, and those that do not talk HTTP
    assert [receive(client, 1) for client, _server in (asked, idle, quiet, interim)] == [b""] * 4
    switch(host, [one], [two])
    answer(streaming, ANSWER)
    ask(upgraded, b"frame")
    answer(silent, b"220 HTTP/1.1 200 OK\r\n")
    for client, server in ends:
        client.close()
        server.close()


def test_what_cannot_be_shared(host):
    for options, word in (
        ({"network": "host", "front": "shop"}, "no ports to share"),
        ({"network": ["net"], "ports": ["80:80"], "front": "a/b"}, "no name for a front"),
        ({"network": ["net"], "ports": ["80:80"], "front": "shop"}, "shepherd.publish=nat"),
    ):
        if "nat" in word:
            host.runtime("network", "create", "-o", "shepherd.publish=nat", "net")
        with pytest.raises(RuntimeFailure, match=word):
            host.call(attach.plan, "a" * 64, "web", options, str(host.folder))
