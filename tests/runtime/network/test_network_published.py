"""Published ports: the process that forwards, tcp and udp."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import resource
import shutil
import signal
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from places import CLIENT, CLIENT6, EVERYWHERE, PATIENCE, UPLINK, UPLINK6, eventually, exchange, receive

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls
from shepherd.runtime.network import attach

pytestmark = pytest.mark.lab


def test_without_an_address_a_port_is_the_hosts_own(host):
    web = host.box("web", ports=["8080:80"])
    assert web.attached["ports"] == [{"address": "127.0.0.1", "host": 8080, "container": 80, "protocol": "tcp"}]
    with web.listen(80) as server:
        assert exchange(host.connect("127.0.0.1", 8080), server)[0] == "10.209.0.1", "not 127.0.0.1"
        for address in (UPLINK, "10.209.0.1"):
            for place in (host, web, host.client):
                with pytest.raises(OSError):
                    place.connect(address, 8080)


def test_open_to_all_where_the_declaration_says_so(host):
    web, other = host.box("web", ports=["0.0.0.0:8080:80", "[::]:8080:80"]), host.box("other")
    with web.listen(80) as server:
        for place, address in (
            (host, "127.0.0.1"),
            (host, "::1"),
            (host, UPLINK),
            (host.client, UPLINK),
            (host.client, UPLINK6),
            (other, UPLINK),
            (other, "10.209.0.1"),
            (web, UPLINK),  # itself: the way back, too, is by the host
            (web, "10.209.0.1"),
        ):
            assert exchange(place.connect(address, 8080), server)[0] == "10.209.0.1"


def test_one_address_of_the_host(host):
    web = host.box("web", ports=[f"{UPLINK}:8080:80"])
    with web.listen(80) as server:
        exchange(host.client.connect(UPLINK, 8080), server)
        with pytest.raises(ConnectionRefusedError):
            host.connect("127.0.0.1", 8080)
    with pytest.raises(RuntimeFailure, match=r"cannot publish 192\.0\.2\.1:8081:80/tcp"):
        host.box("other", ports=["192.0.2.1:8081:80"])


def test_a_container_is_reached_from_another_network_by_what_is_published_alone(host):
    host.runtime("network", "create", "net")
    web, other = host.box("web", ports=["0.0.0.0:8080:80"]), host.box("other", network=["net"])
    with web.listen(80) as server:
        assert exchange(other.connect(UPLINK, 8080), server)[0] == "10.209.0.1"


def test_ranges_and_ports_that_the_kernel_chooses(host):
    web = host.box("web", ports=["8000-8002:80-82", "90", "9000-9005:91", "127.0.0.1::92/udp"])
    found = [(one["host"], one["container"], one["protocol"]) for one in web.attached["ports"]]
    assert found[:3] == [(8000, 80, "tcp"), (8001, 81, "tcp"), (8002, 82, "tcp")]
    assert found[3][0] > 1023 and found[4] == (9000, 91, "tcp") and found[5][1:] == (92, "udp")
    other = host.box("other", ports=["9000-9005:91"])
    assert other.port() == 9001, "the first that is free"
    for one in web.attached["ports"][:4]:
        with web.listen(one["container"]) as server:
            exchange(host.connect("127.0.0.1", one["host"]), server)


def test_a_port_that_is_taken_is_refused_and_nothing_is_left(host):
    with host.listen(8080, "127.0.0.1"):
        with pytest.raises(RuntimeFailure) as caught:
            host.box("web", ports=["8081:80", "8080:80"])
        assert caught.value.message == "cannot publish 127.0.0.1:8080:80/tcp: Address already in use"
        assert caught.value.hint
    assert host.forwarders() == []
    assert [name for name in host.interfaces() if name.startswith("veth")] == []
    assert list((host.root / "networks" / ".containers").iterdir()) == []
    assert host.boxes["web"].interfaces() == ["lo"]
    host.boxes["web"].attach(ports=["8081:80", "8080:80"])


def test_nobody_listens_in_the_container(host):
    web = host.box("web", ports=["8080:80"])
    with pytest.raises(ConnectionResetError):
        host.connect("127.0.0.1", 8080).recv(1)  # the host's kernel takes it, the forwarder finds nobody
    with web.listen(80) as server:
        exchange(host.connect("127.0.0.1", 8080), server)


def test_halves_of_a_connection_end_one_by_one(host):
    web = host.box("web", ports=["8080:80"])
    with web.listen(80) as server, host.connect("127.0.0.1", 8080) as client:
        connection, _ = server.accept()
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        connection.settimeout(PATIENCE)
        assert receive(connection, 100) == b"question"
        connection.sendall(b"answer")
        connection.close()
        assert receive(client, 100) == b"answer"


def test_a_broken_connection_is_broken_at_the_other_end(host):
    web = host.box("web", ports=["8080:80"])
    with web.listen(80) as server, host.connect("127.0.0.1", 8080) as client:
        connection, _ = server.accept()
        client.sendall(b"x")
        assert receive(connection, 1) == b"x"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_much_in_both_directions_at_once(host):
    """Every byte, in order, however unevenly the two ends read."""
    web = host.box("web", ports=["8080:80"])
    chance = random.Random(5)  # noqa: S311 - any bytes will do
    data = [chance.randbytes(1 << 20) * 16, chance.randbytes(1 << 20) * 16]
    digests: dict[int, str] = {}

    def send(connection, which):
        connection.sendall(data[which])
        connection.shutdown(socket.SHUT_WR)

    def take(connection, which):
        hasher = hashlib.sha256()
        size = random.Random(which)  # noqa: S311 - likewise
        while part := connection.recv(size.randrange(1, 200000)):
            hasher.update(part)
        digests[which] = hasher.hexdigest()

    with web.listen(80) as server, host.connect("127.0.0.1", 8080) as client:
        connection, _ = server.accept()
        connection.settimeout(PATIENCE)
        threads = [
            threading.Thread(target=work, args=arguments)
            for work, arguments in (
                (send, (client, 0)),
                (take, (connection, 0)),
                (send, (connection, 1)),
                (take, (client, 1)),
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        connection.close()
    assert digests == {number: hashlib.sha256(data[number]).hexdigest() for number in (0, 1)}


def test_many_connections_at_once_and_one_that_does_not_read(host):
    web = host.box("web", ports=["8080:80"])
    with web.listen(80) as server:
        slow = host.connect("127.0.0.1", 8080)
        stuck, _ = server.accept()
        stuck.setblocking(False)
        sent = 0
        try:
            while True:
                sent += stuck.send(bytes(1 << 16))
        except BlockingIOError:
            pass
        pairs = []
        for _ in range(60):
            client = host.connect("127.0.0.1", 8080)
            pairs.append((client, server.accept()[0]))
        for number, (client, connection) in enumerate(pairs):
            client.sendall(b"%03d" % number)
            assert receive(connection, 3) == b"%03d" % number
        for client, connection in pairs:
            client.close()
            connection.close()
        stuck.close()
        assert len(receive(slow, sent)) == sent
        slow.close()
    (pid,) = host.forwarders()
    assert eventually(lambda: sockets(pid) <= 1), "all but the listening one are closed"


def sockets(pid):
    found = 0
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed just now
            found += os.readlink(one).startswith(("socket:", "pipe:"))
    return found


def test_more_connections_than_descriptors(host):
    """They wait in the kernel for those before them; nothing is lost, and the process does not spin or die."""
    web = host.box("web")

    def attach_with_few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        attach.attach(web.id, "web", web.pid, {"ports": ["8080:80"]}, str(web.folder))

    host.call(attach_with_few)
    (pid,) = host.forwarders()
    with web.listen(80) as server:
        clients = [host.connect("127.0.0.1", 8080) for _ in range(100)]
        for client in clients:
            client.sendall(b"x")
        assert sockets(pid) <= 100
        for client in clients:  # each has to end before there is room for another
            with client, server.accept()[0] as connection:
                connection.settimeout(PATIENCE)
                assert receive(connection, 1) == b"x"
                connection.sendall(b"y")
                assert receive(client, 1) == b"y"
    assert host.forwarders() == [pid]


@pytest.mark.parametrize("address, asked", [(EVERYWHERE, UPLINK), ("127.0.0.1", "127.0.0.1"), ("[::]", UPLINK6)])
def test_udp(host, address, asked):
    web = host.box("web", ports=[f"{address}:5353:53/udp"])
    place = host if asked == "127.0.0.1" else host.client
    with web.listen(53, kind=socket.SOCK_DGRAM) as server:
        clients = [place.connect(asked, 5353, socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(b"question %d" % number)
        seen = {}
        for _ in clients:
            data, sender = server.recvfrom(100)
            assert sender[0] == "10.209.0.1"
            seen[data[-1:]] = sender
        for number, sender in seen.items():
            server.sendto(b"answer " + number, sender)
        for number, client in enumerate(clients):  # connected: it hears only the address that it asked
            assert client.recv(100) == b"answer %d" % number
            client.close()


def test_udp_answers_come_from_the_address_that_was_asked(host):
    """A host with two addresses on one network: the kernel alone would answer from the first."""
    with host.netlink() as netlink:
        netlink.add_address(netlink.links()["lan"], "198.51.100.50", 24)
    web = host.box("web", ports=["0.0.0.0:5353:53/udp"])
    with (
        web.listen(53, kind=socket.SOCK_DGRAM) as server,
        host.client.connect("198.51.100.50", 5353, socket.SOCK_DGRAM) as client,
    ):
        client.send(b"question")
        data, sender = server.recvfrom(100)
        server.sendto(data, sender)
        assert client.recv(100) == b"question"


def test_udp_large_and_empty_packets(host):
    web = host.box("web", ports=["5353:53/udp"])
    with web.listen(53, kind=socket.SOCK_DGRAM) as server, host.connect("127.0.0.1", 5353, socket.SOCK_DGRAM) as client:
        for size in (0, 1, 1472, 9000, 65507):
            client.send(bytes(size))
            data, sender = server.recvfrom(70000)
            assert len(data) == size
            server.sendto(data, sender)
            assert len(client.recv(70000)) == size


def test_udp_before_anybody_listens(host):
    web = host.box("web", ports=["5353:53/udp"])
    with host.connect("127.0.0.1", 5353, socket.SOCK_DGRAM) as client:
        client.send(b"lost")
        with web.listen(53, kind=socket.SOCK_DGRAM) as server:
            client.send(b"kept")
            assert eventually(lambda: server.recv(100) == b"kept")


def test_udp_that_was_refused_does_not_take_the_next_along(host):
    """The kernel tells of the refusal when the next is to be sent."""
    if shutil.which("nft") is None:
        pytest.skip("needs nft, to refuse one of two")
    web = host.box("web", ports=["5353:53/udp"])
    rule = "table ip t {\nchain c {\ntype filter hook input priority 0\nudp dport 53 udp length 15 reject\n}\n}\n"
    web.program("nft", "-f", "-", text=rule)
    (pid,) = host.forwarders()
    with host.connect("127.0.0.1", 5353, socket.SOCK_DGRAM) as client, web.listen(53, kind=socket.SOCK_DGRAM) as server:
        os.kill(pid, signal.SIGSTOP)
        client.send(b"refused")
        client.send(b"kept")
        os.kill(pid, signal.SIGCONT)
        assert server.recv(100) == b"kept"


def test_the_process_has_no_rights_and_nothing_of_its_makers(host):
    host.box("web", ports=["8080:80"])
    (pid,) = host.forwarders()
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].strip() == "" and int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["PPid"] != str(os.getpid())
    kinds = {os.readlink(one).partition(":")[0] for one in Path(f"/proc/{pid}/fd").iterdir()}
    assert kinds <= {"/dev/null", "socket", "anon_inode"}, "no lock, no pipe, no file"
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


def test_it_dies_with_the_container(host):
    web = host.box("web", ports=["8080:80"])
    web.end()
    assert eventually(lambda: not host.forwarders())
    with pytest.raises(ConnectionRefusedError):
        host.connect("127.0.0.1", 8080)


def test_it_dies_with_the_container_where_the_kernel_has_no_descriptors_of_processes(host, monkeypatch):
    """Before Linux 5.3; and its maker has no standard streams."""

    def missing(_pid):
        raise OSError(errno.ENOSYS, "not there")

    web = host.box("web")

    def attach_without():
        monkeypatch.setattr(syscalls, "pidfd_open", missing)
        kept = [os.dup2(number, number + 200) for number in (0, 1, 2)]
        for number in (0, 1, 2):
            os.close(number)
        attach.attach(web.id, "web", web.pid, {"ports": ["8080:80"]}, str(web.folder))
        for number in kept:
            os.dup2(number, number - 200)

    host.call(attach_without)
    with web.listen(80) as server:
        exchange(host.connect("127.0.0.1", 8080), server)
    web.end()
    assert eventually(lambda: not host.forwarders())


def test_it_is_started_again_where_it_was_killed(host):
    web = host.box("web", ports=["8080:80", "53/udp"])
    ports = web.attached["ports"]
    (pid,) = host.forwarders()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not host.forwarders())
    host.call(attach.sweep)
    assert len(host.forwarders()) == 1
    with web.listen(80) as server:
        exchange(host.connect("127.0.0.1", 8080), server)
    with (
        web.listen(53, kind=socket.SOCK_DGRAM) as server,
        host.connect("127.0.0.1", ports[1]["host"], socket.SOCK_DGRAM) as client,
    ):
        client.send(b"question")
        assert server.recv(100) == b"question"
    web.detach()
    assert not host.forwarders()


def test_a_container_is_attached_again_on_the_same_port_at_once(host):
    """Connections of the first are still closing."""
    web = host.box("web", ports=["8080:80"])
    for _ in range(5):
        with web.listen(80) as server:
            client = host.connect("127.0.0.1", 8080)
            connection, _address = server.accept()
            web.detach()
            client.close()
            connection.close()
        web.attach(ports=["8080:80"])


def test_the_kernels_translation_keeps_the_clients_address(host):
    """shepherd.publish=nat: asked for, because what comes so does not come by the host's input rules."""
    host.runtime("network", "create", "--ipv6", "-o", "shepherd.publish=nat", "fast")
    web = host.box("web", network=["fast"], ports=["0.0.0.0:8080:80", "[::]:8080:80", "8081:81", "0.0.0.0:5353:53/udp"])
    with web.listen(80) as server:
        assert exchange(host.client.connect(UPLINK, 8080), server)[0] == CLIENT
        gateway = web.attached["networks"]["fast"]["gateway"]
        for place, address in ((host, "127.0.0.1"), (host, UPLINK), (web, UPLINK), (web, gateway)):
            assert exchange(place.connect(address, 8080), server)[0] == gateway
    with web.listen(80, "::") as server:
        assert exchange(host.client.connect(UPLINK6, 8080), server)[0] == CLIENT6
    with (
        web.listen(53, kind=socket.SOCK_DGRAM) as server,
        host.client.connect(UPLINK, 5353, socket.SOCK_DGRAM) as client,
    ):
        client.send(b"question")
        data, sender = server.recvfrom(100)
        assert sender[0] == CLIENT
        server.sendto(data, sender)
        assert client.recv(100) == b"question"
    assert "dport 8081" not in host.rules(), "127.0.0.1 stays the process's"
    web.detach()
    assert "dport 8080" not in host.rules()
