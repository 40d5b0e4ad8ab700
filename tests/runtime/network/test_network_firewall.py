"""The packet filter: nftables, iptables or neither; and the host's own rules, which stay in force."""

from __future__ import annotations

import json
import os
import shutil
import socket

import pytest
from places import CLIENT, EVERYWHERE, UPLINK, Place, exchange, passes

from shepherd.runtime.network import attach, forwarding, iptables, nftables, rules

pytestmark = pytest.mark.lab

BACKENDS = [name for name, program in (("nft", "nft"), ("iptables", "iptables-restore")) if shutil.which(program)]


@pytest.fixture(params=["nft", "iptables", "iptables-legacy"])
def filtered(request, host, tmp_path):
    """The host with one of the two programs; of iptables there are two kinds."""
    if not shutil.which(request.param):
        pytest.skip(f"needs {request.param}")
    host.environment["SHEPHERD_RUNTIME_FIREWALL"] = request.param.partition("-")[0]
    if request.param == "iptables-legacy":
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("iptables", "ip6tables"):
            for end in ("", "-restore"):
                (folder / (name + end)).symlink_to(shutil.which(f"{name}-legacy{end}") or "/nothing")
        host.environment["PATH"] = f"{folder}:{os.environ['PATH']}"
    return host


def drop(host, hook):
    """An administrator's firewall: nothing passes that is not allowed, and nothing is."""
    chain = f"type filter hook {hook} priority 0; policy drop;" + ("\niif lo accept" if hook == "input" else "")
    host.program("nft", "-f", "-", text=f"table inet admin {{\nchain everything {{\n{chain}\n}}\n}}\n")


def test_outgoing_isolated_and_translated(filtered):
    host = filtered
    host.runtime("network", "create", "other")
    host.runtime("network", "create", "--internal", "back")
    host.runtime("network", "create", "-o", "shepherd.publish=nat", "fast")
    one, two = host.box("one"), host.box("two", network=["other"])
    three = host.box("three", network=["back"])
    four = host.box("four", network=["fast"], ports=["0.0.0.0:8080:80"])
    with host.client.listen(80) as server:
        assert exchange(one.connect(CLIENT, 80), server)[0] == UPLINK
    assert not passes(one, two, two.address("other"), host)
    assert not passes(three, host.client, CLIENT, host)
    with three.netlink() as netlink:
        netlink.add_default_route(
            json.loads(host.runtime("network", "inspect", "back").stdout)[0]["IPAM"]["Config"][0]["Gateway"]
        )
    assert not passes(three, host.client, CLIENT, host)
    assert not passes(three, host, UPLINK, host)
    with four.listen(80) as server:
        assert exchange(host.client.connect(UPLINK, 8080), server)[0] == CLIENT
        assert exchange(host.connect("127.0.0.1", 8080), server)[0] == four.attached["networks"]["fast"]["gateway"]


def test_iptables_leaves_nothing(host):
    if "iptables" not in BACKENDS:
        pytest.skip("needs iptables")
    host.environment["SHEPHERD_RUNTIME_FIREWALL"] = "iptables"
    host.runtime("network", "create", "--ipv6", "net")
    web = host.box("web", network=["net"])
    listed = [host.program(name, "-S").stdout for name in ("iptables", "ip6tables")]
    assert all("SHEPHERD_" in text for text in listed)
    for _ in range(2):
        web.attach(network=["net"])
    assert host.program("iptables", "-S", "FORWARD").stdout.count("SHEPHERD") == 1, "one jump, however often"
    web.detach()
    host.runtime("network", "rm", "net")
    for name in ("iptables", "ip6tables"):
        for table in ("filter", "nat"):
            assert "SHEPHERD" not in host.program(name, "-t", table, "-S").stdout


def test_with_neither_nothing_is_forwarded(host):
    """Containers reach each other and the host, ports are published, and that is all: there is no way out."""
    host.environment["SHEPHERD_RUNTIME_FIREWALL"] = "none"
    host.runtime("network", "create", "other")
    one, two = host.box("one", ports=["0.0.0.0:8080:80"]), host.box("two", network=["other"])
    assert host.setting("ipv4/ip_forward") == "0"
    assert passes(one, host, "10.209.0.1", host)
    assert not passes(one, host.client, CLIENT, host)
    assert not passes(one, two, two.address("other"), host)
    host.set("ipv4/ip_forward", "1")  # somebody else's doing
    host.box("three")
    assert not passes(one, two, two.address("other"), host)
    assert not passes(one, host.client, CLIENT, host)
    with one.listen(80) as server:
        exchange(host.client.connect(UPLINK, 8080), server)


def test_a_hosts_firewall_that_drops_input_drops_what_is_published(host):
    """moby#4737: other engines' published ports come past the rules of ufw and of people."""
    web = host.box("web", ports=["0.0.0.0:8080:80", "0.0.0.0:5353:53/udp"])
    with web.listen(53, kind=socket.SOCK_DGRAM) as server, host.client.open(socket.SOCK_DGRAM) as client:
        client.sendto(b"before", (UPLINK, 5353))
        assert server.recv(100) == b"before"
        drop(host, "input")
        client.sendto(b"canary", (UPLINK, 5353))
        with host.open(socket.SOCK_DGRAM) as control:
            control.sendto(b"control", ("127.0.0.1", 5353))
            assert server.recv(100) == b"control"
    assert "policy drop" in host.rules()


def test_a_hosts_firewall_that_drops_forwarding_drops_what_containers_send_and_what_is_translated(filtered):
    host = filtered
    host.runtime("network", "create", "-o", "shepherd.publish=nat", "fast")
    web = host.box("web", network=["fast"], ports=["0.0.0.0:5353:53/udp"])
    assert passes(web, host.client, CLIENT, host)
    assert passes(host.client, web, UPLINK, host, 53, 5353)
    drop(host, "forward")
    assert not passes(web, host.client, CLIENT, host)
    assert not passes(host.client, web, UPLINK, host, 53, 5353)
    web.attach(network=["fast"], ports=["0.0.0.0:5353:53/udp"])  # rules are made again, and change nothing of that
    assert not passes(web, host.client, CLIENT, host)
    assert not passes(host.client, web, UPLINK, host, 53, 5353)


def test_what_the_documentation_says_lets_containers_through(host):
    drop(host, "forward")
    web = host.box("web")
    assert not passes(web, host.client, CLIENT, host)
    for rule in ('iifname "shepherd0" accept', 'oifname "shepherd0" ct state established,related accept'):
        host.program("nft", "add", "rule", "inet", "admin", "everything", rule)
    with host.client.listen(80) as server:
        assert exchange(web.connect(CLIENT, 80), server)[0] == UPLINK


def test_an_iptables_policy_stays_in_force(host):
    if "iptables" not in BACKENDS:
        pytest.skip("needs iptables")
    host.program("iptables", "-P", "FORWARD", "DROP")
    web = host.box("web")
    assert not passes(web, host.client, CLIENT, host)
    host.program("iptables", "-P", "FORWARD", "ACCEPT")
    assert passes(web, host.client, CLIENT, host)
    host.program("iptables", "-A", "OUTPUT", "-d", web.address(), "-j", "DROP")
    with web.listen(80), pytest.raises(OSError):
        host.open(socket.SOCK_DGRAM).sendto(b"", (web.address(), 80))


@pytest.mark.parametrize("backend", BACKENDS)
def test_rules_are_put_back_after_somebody_flushed_them(host, backend):
    host.environment["SHEPHERD_RUNTIME_FIREWALL"] = backend
    web = host.box("web")
    host.program("nft", "flush", "ruleset")
    host.call(attach.sweep)
    assert passes(web, host.client, CLIENT, host)
    assert not passes(host.client, web, web.address(), host)
    host.program("nft", "flush", "ruleset")
    host.box("other")
    with host.client.listen(80) as server:
        assert exchange(web.connect(CLIENT, 80), server)[0] == UPLINK


def test_the_rules_of_others_are_left_as_they_are(host):
    drop(host, "output")
    before = host.program("nft", "list", "table", "inet", "admin").stdout
    host.box("web").detach()
    assert host.program("nft", "list", "table", "inet", "admin").stdout == before


def test_a_host_that_did_not_forward_does_not_become_a_router(filtered):
    """Forwarding is one switch for all: what is neither from nor to a container is dropped, as it was before."""
    host = filtered
    far = Place()
    try:
        second_network(host, far)
        with host.client.netlink() as netlink:
            netlink.add_default_route(UPLINK)
        host.box("web")
        assert host.setting("ipv4/ip_forward") == "1"
        assert not passes(host.client, far, "203.0.113.2", far)
    finally:
        far.destroy()


@pytest.mark.parametrize("first", ["bridge", "container"])
def test_machines_on_a_bridge_of_the_hosts_go_on_talking(filtered, first):
    """Where br_netfilter has the packet filter see what crosses it, our last rule would drop that, too."""
    host, one, other = filtered, Place(), Place()
    if not os.path.exists("/proc/sys/net/bridge"):
        pytest.skip("needs br_netfilter")
    host.set("bridge/bridge-nf-call-iptables", "1")
    if host.environment["SHEPHERD_RUNTIME_FIREWALL"] == "iptables" and not has_physdev(host):
        pytest.skip("this kernel has no physdev for iptables")
    try:
        if first == "container":
            host.box("web")
        with host.netlink() as netlink:
            netlink.add_bridge("vms")
            for number, place in ((3, one), (4, other)):
                hardware = bytes([2, 0, 0, 0, 0, number])
                netlink.add_veth(
                    f"vm{number}", netlink.links()["vms"], "eth0", None, hardware, namespace=place.namespace
                )
                with place.netlink() as there:
                    there.add_address(there.links()["eth0"], f"203.0.113.{number}", 24)
                    there.set_up(there.links()["eth0"])
        if first == "container":
            host.call(forwarding.renew)
        else:
            host.box("web")
        assert host.setting("ipv4/ip_forward") == "1"
        with other.listen(5000):
            one.connect("203.0.113.4", 5000).close()
    finally:
        one.destroy()
        other.destroy()


def has_physdev(host):
    tried = ["iptables", "-t", "filter", "-A", "OUTPUT", "-m", "physdev", "!", "--physdev-is-bridged"]
    path = host.environment.get("PATH", os.environ["PATH"]) + ":/usr/sbin:/sbin"
    return host.program(*tried, check=False, env={"PATH": path}).returncode == 0


def test_without_physdev_iptables_has_the_other_rules(host, monkeypatch):
    """A kernel with br_netfilter may be without what iptables would ask: as good as it gets, and no failure."""
    if "iptables" not in BACKENDS or not os.path.exists("/proc/sys/net/bridge"):
        pytest.skip("needs iptables and br_netfilter")
    monkeypatch.setitem(iptables.CONDITIONS, "crosses", "-m nothing")
    host.environment["SHEPHERD_RUNTIME_FIREWALL"] = "iptables"
    web = host.box("web")
    with web.listen(80) as server:
        assert exchange(host.connect(web.address(), 80), server)[0] == "10.209.0.1"
    assert "SHEPHERD" in host.program("iptables", "-S", "FORWARD").stdout


def test_a_host_that_forwarded_goes_on(host):
    far = Place()
    try:
        second_network(host, far)
        with host.client.netlink() as netlink:
            netlink.add_default_route(UPLINK)
        host.set("ipv4/ip_forward", "1")
        web = host.box("web")
        assert passes(host.client, far, "203.0.113.2", far)
        web.detach()
        host.runtime("network", "prune", "--force")
        assert host.setting("ipv4/ip_forward") == "1"
    finally:
        far.destroy()


def second_network(host, far):
    with host.netlink() as here, far.netlink() as there:
        here.add_bridge("wan")
        here.add_veth("wan0", here.links()["wan"], "eth0", None, b"\x02\0\0\0\0\x03", namespace=far.namespace)
        here.add_address(here.links()["wan"], "203.0.113.1", 24)
        index = there.links()["eth0"]
        there.set_up(there.links()["lo"])
        there.add_address(index, "203.0.113.2", 24)
        there.set_up(index)
        there.add_default_route("203.0.113.1")


def test_a_host_that_listens_to_routers_goes_on_listening(host):
    """With forwarding on, accept_ra=1 would mean: no longer (ip-sysctl)."""
    host.set("ipv6/conf/lan/accept_ra", "1")
    host.runtime("network", "create", "--ipv6", "net")
    host.box("web", network=["net"])
    assert host.setting("ipv6/conf/all/forwarding") == "1"
    assert host.setting("ipv6/conf/lan/accept_ra") == "2"
    bridge = next(name for name in host.interfaces() if name.startswith("shp-"))
    assert host.setting(f"ipv6/conf/{bridge}/accept_ra") == "0"


def test_both_languages_say_the_same_rules():
    networks = [
        {"name": "a", "bridge": "br-a", "internal": False, "options": {"shepherd.publish": "nat"},
         "subnets": [{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]},
        {"name": "b", "bridge": "br-b", "internal": True, "options": {}, "subnets": [{"subnet": "10.2.0.0/24"}]},
    ]  # fmt: skip
    ports = [
        {"address": address, "host": 8080, "container": 80, "protocol": "tcp"}
        for address in (EVERYWHERE, "::", "127.0.0.1", "198.51.100.1")
    ]
    containers = [{"networks": {"a": {"address": "10.1.0.2", "address6": "fd00::2"}}, "ports": ports}]
    made = rules.make(networks, containers, ["ipv4"], ["br0", "lan"])
    texts = [nftables.line(rule) for rule in made if rule.chain == "prerouting"]
    assert texts == [
        'iifname "br-a" accept',
        'iifname "br-b" accept',
        "meta nfproto ipv4 tcp dport 8080 fib daddr type local dnat to 10.1.0.2:80",
        "meta nfproto ipv6 tcp dport 8080 fib daddr type local dnat to [fd00::2]:80",
        "meta nfproto ipv4 tcp dport 8080 ip daddr 198.51.100.1 dnat to 10.1.0.2:80",
    ]
    assert [iptables.line(rule) for rule in made if rule.chain == "prerouting"] == [
        "-i br-a -j RETURN",
        "-i br-b -j RETURN",
        "-p tcp -m tcp --dport 8080 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.1.0.2:80",
        "-p tcp -m tcp --dport 8080 -m addrtype --dst-type LOCAL -j DNAT --to-destination [fd00::2]:80",
        "-p tcp -m tcp --dport 8080 -d 198.51.100.1 -j DNAT --to-destination 10.1.0.2:80",
    ]
    crossing, last = [rule for rule in made if rule.chain == "forward"][-2:]
    assert nftables.line(crossing) == 'iifname . oifname { "br0" . "br0", "lan" . "lan" } accept'
    assert iptables.line(crossing) == "-m physdev --physdev-is-bridged -j RETURN"
    assert last.verdict == "drop"
