"""Containers on bridges: addresses, routes, ways out, and what is left afterwards."""

from __future__ import annotations

import json
import os
import socket
import subprocess

import pytest
from places import CLIENT, CLIENT6, UPLINK, Box, eventually, exchange, passes

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import attach, joining, records
from tests.patience import seconds

pytestmark = pytest.mark.lab


def test_a_container_gets_an_address_and_talks_to_the_host_and_outside(host):
    web = host.box("web")
    shown = web.attached["networks"]["bridge"]
    assert shown["address"] == "10.209.0.2" and shown["prefix"] == 16 and shown["gateway"] == "10.209.0.1"
    assert shown["mac"] == "02:42:0a:d1:00:02"
    assert web.interfaces() == ["eth0", "lo"]
    with host.listen(80) as server:
        assert exchange(web.connect("10.209.0.1", 80), server)[0] == "10.209.0.2"
    with web.listen(80) as server:
        assert exchange(host.connect("10.209.0.2", 80), server)[0] == "10.209.0.1"
        assert exchange(web.connect("127.0.0.1", 80), server)[0] == "127.0.0.1"
    with host.client.listen(80) as server:  # which has no route back: it sees the host
        assert exchange(web.connect(CLIENT, 80), server)[0] == UPLINK


def test_containers_of_one_network_talk_to_each_other(host):
    one, two = host.box("one"), host.box("two")
    assert (one.address(), two.address()) == ("10.209.0.2", "10.209.0.3")
    with two.listen(80) as server:
        assert exchange(one.connect(two.address(), 80), server)[0] == one.address()


def test_iproute2_agrees(host):
    """Another program reads what our netlink wrote."""
    host.runtime("network", "create", "--ipv6", "--subnet", "fd00:1::/64", "--subnet", "10.7.0.0/24", "net")
    web = host.box("web", network=["net"], ip="10.7.0.9", mac="02:00:00:00:00:99")
    found = json.loads(web.program("ip", "-json", "address", "show", "eth0").stdout)[0]
    assert found["address"] == "02:00:00:00:00:99" and found["operstate"] == "UP"
    addresses = {(one["local"], one["prefixlen"]) for one in found["addr_info"] if one["scope"] == "global"}
    assert addresses == {("10.7.0.9", 24), ("fd00:1::9", 64)}
    routes = json.loads(web.program("ip", "-json", "route").stdout)
    assert [one["gateway"] for one in routes if one["dst"] == "default"] == ["10.7.0.1"]
    routes = json.loads(web.program("ip", "-json", "-6", "route").stdout)
    assert [one["gateway"] for one in routes if one["dst"] == "default"] == ["fd00:1::1"]
    neighbours = json.loads(host.program("ip", "-json", "neigh").stdout)
    assert {(one["dst"], one["state"][0]) for one in neighbours if one["dst"] == "10.7.0.9"} == {
        ("10.7.0.9", "PERMANENT")
    }
    assert json.loads(web.program("ip", "-json", "link", "show", "lo").stdout)[0]["flags"][1:] == ["UP", "LOWER_UP"]


def test_ipv6(host):
    host.runtime("network", "create", "--ipv6", "net")
    one, two = host.box("one", network=["net"]), host.box("two", network="net")
    six = two.address("net", "address6")
    with two.listen(80, "::") as server:
        assert exchange(one.connect(six, 80), server)[0] == one.address("net", "address6")
        assert exchange(host.connect(six, 80), server)[0] == two.attached["networks"]["net"]["gateway6"]
    with host.client.listen(80, "::") as server:
        assert exchange(one.connect(CLIENT6, 80), server)[0] == "2001:db8:1::1"
    assert two.setting("ipv6/conf/eth0/accept_ra") == "0"


def test_no_ipv6_where_none_was_asked_for(host):
    web = host.box("web")
    assert web.setting("ipv6/conf/eth0/disable_ipv6") == "1"
    assert host.setting("ipv6/conf/shepherd0/disable_ipv6") == "1"
    with pytest.raises(OSError):
        web.connect("fe80::1%eth0", 80)


def test_networks_are_isolated_from_each_other(host):
    host.runtime("network", "create", "other")
    one, two = host.box("one"), host.box("two", network=["other"])
    assert not passes(one, two, two.address("other"), host)
    assert not passes(two, one, one.address(), host)
    three = host.box("three", network=["bridge", "other"])  # which may talk to both, and is no bridge between them
    assert passes(three, two, two.address("other"), host)
    assert passes(three, one, one.address(), host)
    assert passes(one, three, three.address(), host)
    assert not passes(one, two, two.address("other"), host)


def test_an_internal_network_leads_nowhere(host):
    host.runtime("network", "create", "--internal", "--ipv6", "back")
    one, two = host.box("one", network=["back"]), host.box("two", network=["back"])
    assert passes(one, two, two.address("back"), host)
    assert not passes(one, host.client, CLIENT, host)
    # also where a container with the right to gives itself a route
    with one.netlink() as netlink:
        netlink.add_default_route(host_address(host, "back"))
    assert not passes(one, host.client, CLIENT, host)
    assert not passes(one, host.client, CLIENT6, host)
    assert not passes(one, host, UPLINK, host), "the host's other addresses are outside, too"
    assert passes(one, host, host_address(host, "back"), host)
    three = host.box("three", network=["back", "bridge"])
    assert passes(three, host.client, CLIENT, host), "by its other network"
    with pytest.raises(RuntimeFailure, match="no network that leads outside"):
        host.box("four", network=["back"], ports=["80"])


def host_address(host, network):
    return json.loads(host.runtime("network", "inspect", network).stdout)[0]["IPAM"]["Config"][0]["Gateway"]


def test_an_internal_network_stays_so_when_forwarding_is_switched_on(host):
    """The switch of all interfaces switches each: the internal bridge's is set back at once."""
    host.runtime("network", "create", "--internal", "back")
    host.box("one", network=["back"])
    bridge = next(name for name in host.interfaces() if name.startswith("shp-"))
    assert host.setting("ipv4/ip_forward") == "0"
    host.box("two")
    assert host.setting("ipv4/ip_forward") == "1"
    assert host.setting(f"ipv4/conf/{bridge}/forwarding") == "0"


def test_none_has_a_loopback_and_nothing_else(host):
    web = host.box("web", network="none")
    assert web.planned["namespace"] == "new"
    assert web.attached == {"networks": {}, "ports": [], "serving": []}
    assert web.interfaces() == ["lo"]
    with web.listen(80) as server:
        exchange(web.connect("127.0.0.1", 80), server)
    with pytest.raises(RuntimeFailure, match="no network that leads outside"):
        host.box("other", network="none", ports=["80"])


def test_host_and_the_network_of_another_container(host):
    web = host.box("web")
    shared = Box(host, "shared")
    host.boxes["shared"] = shared
    shared.attach(network="host", ports=["8080:80"])
    assert shared.planned["namespace"] == "host"
    assert shared.attached == {"networks": {}, "ports": [], "serving": []}, (
        "the container is on the host's ports already"
    )
    for text in (web.id, "web", web.id[:12]):
        planned = host.call(attach.plan, "c" * 64, "joined", {"network": "container:" + text}, str(shared.folder))
        assert planned["namespace"] == f"/proc/{web.pid}/ns/net"
        assert {one["source"] for one in planned["mounts"]} == {
            str(web.folder / name) for name in ("hosts", "resolv.conf", "hostname")
        }
    with pytest.raises(RuntimeFailure, match="-p has no meaning"):
        host.call(attach.plan, "c" * 64, "j", {"network": "container:web", "ports": ["80"]}, str(shared.folder))
    with pytest.raises(RuntimeFailure, match="no such container"):
        host.call(attach.plan, "c" * 64, "j", {"network": "container:nobody"}, str(shared.folder))
    web.end()
    with pytest.raises(RuntimeFailure, match="not running"):
        host.call(attach.plan, "c" * 64, "j", {"network": "container:web"}, str(shared.folder))


def test_the_namespace_of_the_host_is_never_set_up_as_a_container(host):
    with pytest.raises(RuntimeFailure, match="namespace of the host"):
        host.call(attach.attach, "c" * 64, "c", host.pid, {}, str(host.folder))
    assert not [name for name in host.interfaces() if name.startswith("veth")]


def test_options_of_a_network(host):
    words = ["-o", "com.docker.network.bridge.name=br-mine", "-o", "com.docker.network.driver.mtu=1400"]
    words += ["-o", "com.docker.network.bridge.enable_icc=false"]
    words += ["-o", "com.docker.network.bridge.enable_ip_masquerade=false"]
    host.runtime("network", "create", "--gateway", "10.8.0.254", "--subnet", "10.8.0.0/24",
                 "--ip-range", "10.8.0.128/25", *words, "mine")  # fmt: skip
    one, two = host.box("one", network=["mine"]), host.box("two", network=["mine"])
    assert "br-mine" in host.interfaces()
    assert one.address("mine") == "10.8.0.128" and one.attached["networks"]["mine"]["gateway"] == "10.8.0.254"
    assert json.loads(one.program("ip", "-json", "link", "show", "eth0").stdout)[0]["mtu"] == 1400
    assert not passes(one, two, two.address("mine"), host), "enable_icc"
    with host.client.netlink() as netlink:
        netlink.add_default_route(UPLINK)
    with host.client.listen(80) as server:
        assert exchange(one.connect(CLIENT, 80), server)[0] == "10.8.0.128"


def test_nothing_is_left(host):
    before = host.interfaces()
    host.runtime("network", "create", "--ipv6", "net")
    web = host.box("web", network=["net", "bridge"], ports=["8080:80"])
    assert host.runtime("network", "rm", "net", check=False).returncode == 1, "it is in use"
    web.detach()
    web.detach()
    assert eventually(lambda: not host.forwarders())
    assert [name for name in host.interfaces() if name.startswith("veth")] == []
    assert web.interfaces() == ["lo"]
    neighbours = json.loads(host.program("ip", "-json", "neigh").stdout)
    assert [one for one in neighbours if one["dev"] != "lan"] == []  # that the host has neighbours is not our doing
    assert not list((host.root / "networks" / "net" / "leases").iterdir())
    assert not list((host.root / "networks" / ".containers").iterdir())
    host.runtime("network", "rm", "net")
    assert not (host.root / "networks" / "net").exists()
    assert set(host.interfaces()) - set(before) == {"shepherd0"}


def test_the_last_network_takes_the_rules_and_forwarding_with_it(host):
    host.runtime("network", "create", "net")
    web = host.box("web", network=["net"])
    assert "table inet shepherd" in host.rules() and host.setting("ipv4/ip_forward") == "1"
    web.detach()
    host.runtime("network", "rm", "net")
    assert host.rules() == "" and host.setting("ipv4/ip_forward") == "0"


def test_a_dead_container_is_swept_away(host):
    """Its monitor was killed, and so nobody detached it."""
    host.runtime("network", "create", "net")
    web = host.box("web", network=["net"], ip="10.210.0.7", ports=["8080:80"])
    other = host.box("other", network=["net"])
    assert other.hosts()["web"] == {"10.210.0.7"}
    web.end()
    assert eventually(lambda: not host.forwarders()), "that ends by itself"
    host.call(attach.sweep)
    assert "web" not in other.hosts()
    assert [one.name for one in (host.root / "networks" / "net" / "leases").iterdir()] == ["10.210.0.2"]
    assert len(list((host.root / "networks" / ".containers").iterdir())) == 1
    assert host.box("heir", network=["net"], ip="10.210.0.7").address("net") == "10.210.0.7"


def test_a_dead_containers_address_is_given_away_without_a_sweep(host):
    host.runtime("network", "create", "net")
    host.box("web", network=["net"], ip="10.210.0.7").end()
    assert host.box("heir", network=["net"], ip="10.210.0.7").address("net") == "10.210.0.7"
    with pytest.raises(RuntimeFailure, match=r"10\.210\.0\.7 in network net is container"):
        host.box("third", network=["net"], ip="10.210.0.7")


def test_a_reused_process_number_is_not_the_container(host):
    web = host.box("web")
    record = host.root / "networks" / ".containers" / f"{web.id}.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "began": content["began"] - 1}))
    host.call(attach.sweep)
    assert not record.exists()


def test_attaching_again_replaces(host):
    web = host.box("web", ports=["8080:80"])
    first = web.attached
    web.attach(ports=["8080:80"])
    assert web.attached["ports"] == first["ports"]
    assert web.interfaces() == ["eth0", "lo"]
    assert len([name for name in host.interfaces() if name.startswith("veth")]) == 1


def test_a_full_network_says_so(host):
    host.runtime("network", "create", "--subnet", "10.9.0.0/30", "tiny")
    first = host.box("first", network=["tiny"])
    with pytest.raises(RuntimeFailure, match=r"no free address in 10\.9\.0\.0/30"):
        host.box("second", network=["tiny"])
    first.detach()
    assert host.box("third", network=["tiny"]).address("tiny") == "10.9.0.2"


def test_a_foreign_interface_is_left_alone(host):
    with host.netlink() as netlink:
        netlink.add_bridge("br-theirs")
    host.runtime("network", "create", "-o", "com.docker.network.bridge.name=br-theirs", "mine")
    with pytest.raises(RuntimeFailure, match="not network mine's"):
        host.box("web", network=["mine"])
    assert not list((host.root / "networks" / "mine" / "leases").iterdir())
    host.runtime("network", "rm", "mine")
    assert "br-theirs" in host.interfaces()


def test_a_bridge_that_is_gone_is_made_again(host):
    """As after a reboot, of which only the records are left."""
    host.box("web").end()
    with host.netlink() as netlink:
        netlink.delete(netlink.links()["shepherd0"])
    host.program("nft", "flush", "ruleset")
    host.set("ipv4/ip_forward", "0")
    web = host.box("next")
    with host.client.listen(80) as server:
        assert exchange(web.connect(CLIENT, 80), server)[0] == UPLINK


def test_many_at_once_get_different_addresses(host):
    """Processes that know nothing of each other: real containers, attached and detached at the same time."""
    boxes = [Box(host, f"c{number}") for number in range(12)]
    host.boxes.update({box.name: box for box in boxes})
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from shepherd.runtime.network import attach\n"
        "identity, name, pid, folder = sys.argv[2:6]\n"
        "for turn in range(3):\n"
        "    attach.plan(identity, name, {}, folder)\n"
        "    shown = attach.attach(identity, name, int(pid), {'ports': ['80']}, folder)\n"
        "    print(shown['networks']['bridge']['address'], flush=True)\n"
        "    if turn < 2: attach.detach(identity)\n"
    )
    environment = {**os.environ, "SHEPHERD_RUNTIME_ROOT": str(host.root)}
    root = str(attach.__file__).partition("/shepherd/runtime/")[0]
    with host.inside():
        running = [
            subprocess.Popen(["python3", "-c", program, root, box.id, box.name, str(box.pid), str(box.folder)],
                             env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for box in boxes
        ]  # fmt: skip
    said = [process.communicate(timeout=seconds(60))[0].split() for process in running]
    assert all(process.returncode == 0 for process in running), said
    last = [words[-1] for words in said]
    assert len(set(last)) == len(boxes)
    assert {one.name for one in (host.root / "networks" / "bridge" / "leases").iterdir()} == set(last)
    assert len(host.forwarders()) == len(boxes)
    for box, address in zip(boxes, last, strict=True):
        with box.listen(80) as server:
            exchange(host.connect(address, 80), server)


def test_ordinary_users_may_ping_and_take_low_ports(host):
    web = host.box("web")
    assert web.setting("ipv4/ping_group_range").split() == ["0", "2147483647"]
    with web.open(socket.SOCK_DGRAM, socket.AF_INET, socket.IPPROTO_ICMP) as ping:
        ping.sendto(b"\x08\0\0\0\0\0\0\1canary", ("10.209.0.1", 0))
        assert ping.recv(100).endswith(b"canary")


def test_records_that_a_power_cut_left_are_taken_away(host):
    """Of containers, which it ended: their records are not worth an fsync."""
    web = host.box("web", network="bridge")
    containers = host.root / "networks" / ".containers"
    for name, content in (("empty.json", ""), ("zeros.json", "\0" * 300), ("other.json", "{}"), ("half.json.123", "{")):
        (containers / name).write_text(content)
    (host.root / "networks" / "bridge" / "leases" / "10.209.0.9").write_text("")
    host.call(attach.sweep)
    assert [one.name for one in containers.iterdir()] == [f"{web.id}.json"]
    assert [one.name for one in (host.root / "networks" / "bridge" / "leases").iterdir()] == [web.address()]


def test_a_network_that_another_process_replaced_meanwhile(host, monkeypatch):
    """Between the check of what is asked for and the lock under which it is done."""
    host.runtime("network", "create", "net")
    (old,) = host.call(lambda: [one for one in records.Records().networks() if one["name"] == "net"])
    web = host.box("web", network="none")
    host.runtime("network", "rm", "net")
    monkeypatch.setattr(joining, "check", lambda *_arguments: [old])
    for said in ("gone", "made again"):
        with pytest.raises(RuntimeFailure, match="network net was removed meanwhile"):
            host.call(attach.attach, web.id, "web", web.pid, {"network": ["net"]}, str(web.folder))
        assert not [name for name in host.interfaces() if name.startswith("shp-")], said
        if said == "gone":
            host.runtime("network", "create", "net")
