"""Containers, neighbours and words that want more than they are given: each attack is mounted, with a canary.

Containers here have all rights in their network namespace, more than the runtime's own: raw sockets, any address.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct

import pytest
from places import CLIENT, UPLINK, UPLINK6, exchange, passes

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import attach

pytestmark = pytest.mark.lab


def wire(place, interface="eth0"):
    """A socket for whole frames."""
    made = place.open(socket.SOCK_RAW, socket.AF_PACKET, socket.htons(3))
    made.bind((interface, 0))
    return made


def hardware(place, interface="eth0"):
    with place.netlink() as netlink:
        return netlink.link(interface)[1]


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source, target, port, text):
    """An IPv4 packet with a UDP datagram, without the latter's checksum."""
    udp = struct.pack("!HHHH", 4000, port, 8 + len(text), 0) + text
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, *map(socket.inet_aton, (source, target))
    )
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def send(place, target_hardware, kind, body, source_hardware=None):
    with wire(place) as frames:
        frames.send(target_hardware + (source_hardware or hardware(place)) + struct.pack("!H", kind) + body)


def received(server, control):
    """The first that arrives; `control` sends something in any case."""
    control()
    return server.recv(200)


def test_the_hosts_loopback_is_not_reached_from_a_container(host):
    """CVE-2020-8558: packets to 127.0.0.1 put on the wire, and packets that claim to come from there."""
    web = host.box("web", ports=["8080:80"])
    gateway = hardware(host, "shepherd0")
    with host.listen(5000, kind=socket.SOCK_DGRAM) as server:
        send(web, gateway, 0x0800, datagram("10.209.0.2", "127.0.0.1", 5000, b"canary"))
        send(web, gateway, 0x0800, datagram("127.0.0.1", "10.209.0.1", 5000, b"canary"))
        send(web, gateway, 0x0800, datagram("127.0.0.1", "127.0.0.1", 5000, b"canary"))
        send(web, gateway, 0x0800, datagram("10.209.0.2", "10.209.0.1", 5000, b"control"))
        assert server.recv(100) == b"control"
    assert host.setting("ipv4/conf/shepherd0/route_localnet") == "0"


def test_the_hosts_loopback_is_not_reached_from_a_neighbour(host):
    """Nothing here ever sets route_localnet, which would open what listens on 127.0.0.1 to the whole network."""
    web = host.box("web", ports=["127.0.0.1:5000:53/udp"])
    host.box("other", ports=["0.0.0.0:8080:80"])
    with web.listen(53, kind=socket.SOCK_DGRAM) as server:
        send(host.client, hardware(host, "lan"), 0x0800, datagram(CLIENT, "127.0.0.1", 5000, b"canary"))
        with host.open(socket.SOCK_DGRAM) as control:
            control.sendto(b"control", ("127.0.0.1", 5000))
            assert server.recv(100) == b"control"
    for name in ("all", "default", "lan", "shepherd0"):
        assert host.setting(f"ipv4/conf/{name}/route_localnet") == "0"


def test_nobody_appears_to_be_the_containers_own_loopback(host):
    """CVE-2021-20199: what comes by a published port must not come from 127.0.0.1, which programs trust."""
    web = host.box("web", ports=["0.0.0.0:8080:80", "[::]:8080:80"])
    with web.listen(80) as server:
        for place, address in ((host, "127.0.0.1"), (host, "::1"), (host.client, UPLINK), (host.client, UPLINK6)):
            assert exchange(place.connect(address, 8080), server)[0] == "10.209.0.1"


def test_a_container_is_not_reached_by_a_neighbour_that_routes_to_it(host):
    """A machine beside the host that takes the host for a router: what is not published stays closed."""
    web = host.box("web", ports=["127.0.0.1:8080:80"])
    with host.client.netlink() as netlink:
        netlink.add_default_route(UPLINK)
    assert passes(host, web, web.address(), host)
    assert not passes(host.client, web, web.address(), host)
    assert not passes(host.client, web, web.address(), host, 80)


def test_arp_lies_are_not_believed(host):
    """A container says that it has the gateway's address, and the other container's."""
    attacker, victim = host.box("attacker"), host.box("victim")
    mine = hardware(attacker)
    everybody = b"\xff" * 6
    for claimed in ("10.209.0.1", victim.address()):
        for operation in (1, 2):
            claim = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mine, socket.inet_aton(claimed),
                                everybody, socket.inet_aton(claimed))  # fmt: skip
            send(attacker, everybody, 0x0806, claim)
            for place, interface in ((victim, "eth0"), (host, "shepherd0")):
                send(attacker, hardware(place, interface), 0x0806, claim)
    with attacker.netlink() as netlink:  # who would answer to those addresses, too
        index = netlink.link("eth0")[0]
        netlink.add_address(index, victim.address(), 32)
    assert passes(host, victim, victim.address(), victim, 5000)
    with host.listen(5001, kind=socket.SOCK_DGRAM) as server, victim.open(socket.SOCK_DGRAM) as client:
        client.sendto(b"canary", ("10.209.0.1", 5001))
        assert server.recv(100) == b"canary"
    neighbours = {
        one["dst"]: one["lladdr"] for one in json.loads(host.program("ip", "-json", "neigh").stdout) if "lladdr" in one
    }
    assert neighbours[victim.address()] == "02:42:0a:d1:00:03"
    neighbours = {one["dst"]: one for one in json.loads(victim.program("ip", "-json", "neigh").stdout)}
    assert neighbours["10.209.0.1"]["state"] == ["PERMANENT"]
    assert bytes.fromhex(neighbours["10.209.0.1"]["lladdr"].replace(":", "")) == hardware(host, "shepherd0")


def test_a_stolen_address_on_the_wire_moves_nothing(host):
    """Frames from another's address would teach a bridge that it is here now."""
    attacker, victim, third = host.box("attacker"), host.box("victim"), host.box("third")
    with victim.listen(5000, kind=socket.SOCK_DGRAM) as server, wire(attacker) as ears:
        for _ in range(5):
            stolen = datagram(victim.address(), third.address(), 5000, b"theft")
            send(attacker, hardware(third), 0x0800, stolen, source_hardware=hardware(victim))
        for place in (host, third):
            with place.open(socket.SOCK_DGRAM) as client:
                client.sendto(b"canary", (victim.address(), 5000))
                assert server.recv(100) == b"canary"
        ears.setblocking(False)
        try:
            while True:
                assert b"canary" not in ears.recv(2000)
        except BlockingIOError:
            pass


def test_frames_for_others_are_not_heard(host):
    """A bridge sends what it has no place for everywhere: to a container never."""
    listener, speaker = host.box("listener"), host.box("speaker")
    with wire(listener) as ears:
        send(speaker, b"\x02\xee\xee\xee\xee\xee", 0x0800, datagram(speaker.address(), "10.209.0.99", 5000, b"canary"))
        send(speaker, hardware(listener), 0x0800, datagram(speaker.address(), listener.address(), 5000, b"control"))
        while b"control" not in (frame := ears.recv(2000)):
            assert b"canary" not in frame


def advertisement(source):
    """An ICMPv6 router advertisement (RFC 4861) of 2001:db8:bad::/64, with a router's lifetime of half an hour."""
    prefix = struct.pack(
        "!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
    )
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "ff02::1")
    value = checksum(addresses + struct.pack("!II", len(message), 58) + message)
    message = message[:2] + struct.pack("!H", value) + message[4:]
    return struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + addresses + message


def test_router_advertisements_of_a_container_are_not_believed(host):
    """CVE-2020-13401: the host and the other containers would send their IPv6 traffic to it."""
    host.runtime("network", "create", "--ipv6", "net")
    attacker, victim, plain = (
        host.box("attacker", network=["net"]),
        host.box("victim", network=["net"]),
        host.box("plain"),
    )
    for sender in (attacker, plain):
        for _ in range(3):
            send(sender, b"\x33\x33\0\0\0\1", 0x86DD, advertisement("fe80::bad"))
    for place in (host, victim, plain):
        listed = place.program("ip", "-6", "route").stdout + place.program("ip", "-6", "address").stdout
        assert "bad" not in listed, listed


def test_the_credentials_of_a_cloud_are_not_reached(host):
    """169.254.169.254: who reaches it is the machine. Name servers there are asked, as some clouds have them."""
    with host.client.netlink() as netlink:
        netlink.add_address(netlink.link("eth0")[0], "169.254.169.254", 32)
    with host.netlink() as netlink:
        netlink.add_address(netlink.link("lan")[0], "169.254.169.1", 24)
    host.runtime("network", "create", "-o", "shepherd.link_local=true", "trusted")
    web, trusted = host.box("web"), host.box("trusted", network=["trusted"])
    assert not passes(web, host.client, "169.254.169.254", host, 80)
    assert passes(web, host.client, "169.254.169.254", host, 53)
    assert passes(trusted, host.client, "169.254.169.254", host, 80)


NAMES = [
    "../x",
    "a/b",
    "-f",
    "",
    ".",
    "..",
    ".containers",
    "x" * 5000,
    "a\0b",
    "a\nb",
    "ä",
    "a b",
    "$(id)",
    "a;b",
    'a"b',
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_names_that_are_paths_or_rules(host, name, tmp_path):
    before = sorted(str(one) for one in tmp_path.rglob("*"))
    for words in (["create", "--", name], ["rm", "--", name], ["inspect", "--", name],
                  ["create", "-o", f"com.docker.network.bridge.name={name}", "good"]):  # fmt: skip
        if "\0" not in name:
            done = host.runtime("network", *words, check=False)
            assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
            assert len(done.stderr) < 500
    for options in ({"network": [name]}, {"network": f"container:{name}"}):
        with pytest.raises(RuntimeFailure):
            host.call(attach.plan, "c" * 64, "web", options, str(tmp_path))
    with pytest.raises(RuntimeFailure):
        host.call(attach.plan, name, "web", {}, str(tmp_path))
    after = [str(one) for one in tmp_path.rglob("*")]
    assert sorted(one for one in after if "/state" not in one) == before
    assert {one.name for one in (host.root / "networks").iterdir()} <= {".containers", ".lock", "bridge"}


def test_the_records_are_for_root_alone(host):
    host.box("web", ports=["8080:80"])
    for one in (host.root / "networks").rglob("*"):
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0, one


def test_the_containers_files_are_written_where_they_are(host, tmp_path):
    """A link in place of a container's file, put there by whoever could, is not followed."""
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    host.runtime("network", "create", "net")
    web = host.box("web", network=["net"])
    (web.folder / "hosts").unlink()
    (web.folder / "hosts").symlink_to(canary)
    host.box("other", network=["net"])
    assert canary.read_text() == "untouched"
    with pytest.raises(RuntimeFailure, match="symbolic links"):
        web.attach(network=["net"])
    assert canary.read_text() == "untouched"


def test_nothing_of_a_containers_words_reaches_a_program(host, tmp_path):
    """Rules are made of numbers, checked names and addresses alone; what they are made of is not read from images."""
    canary = tmp_path / "canary"
    for word in (f"8080:80/tcp; touch {canary}", f"$(touch {canary}):80", f"127.0.0.1\n{canary}:80:80", "80:80/tcp\n"):
        with pytest.raises(RuntimeFailure):
            host.box("web", ports=[word])
    assert not canary.exists() and os.listdir(host.root / "networks" / ".containers") == []
