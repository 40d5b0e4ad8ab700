"""Names: /etc/hosts, /etc/resolv.conf and /etc/hostname of containers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import eventually, exchange

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import attach, names, resolvers

sys.path.append(str(Path(__file__).parents[1] / "bundle"))
from bundles import Bundle, busybox

lab = pytest.mark.lab


class Inside:
    """A shell where a container's files are mounted, and that stays there while they change."""

    def __init__(self, box):
        script = "mount --make-rprivate /; "
        script += 'for name in hosts resolv.conf hostname; do mount --bind "$0/$name" /etc/$name; done; exec sh'
        words = ["nsenter", f"--net=/proc/{box.pid}/ns/net", "unshare", "--mount", "sh", "-c", script, str(box.folder)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def say(self, command):
        self._process.stdin.write(command + "; echo; echo --\n")
        self._process.stdin.flush()
        lines = []
        while (line := self._process.stdout.readline()) not in ("--\n", ""):
            lines.append(line)
        return "".join(lines).strip()

    def resolve(self, name):
        return set(self.say(f"getent ahosts {name} | cut -d' ' -f1").split())


@lab
def test_containers_of_a_network_find_each_other_as_they_come_and_go(host):
    host.runtime("network", "create", "--ipv6", "net")
    one = host.box("one", network=["net"], hostname="first", dns=["127.0.0.1"])  # where nobody answers: at once
    with Inside(one) as inside:
        assert inside.resolve("one") == set(both(one)) == inside.resolve("first")
        assert inside.resolve("two") == set()
        two = host.box("two", network=["net"], aliases=["db", "postgres"])
        for name in ("two", "db", "postgres", two.id[:12]):
            assert inside.resolve(name) == set(both(two)), name
        three = host.box("three", network=["net"], aliases=["db"])
        assert inside.resolve("db") == {*both(two), *both(three)}
        assert three.hosts()["one"] == set(both(one)), "who comes later knows those before"
        assert "first" not in three.hosts(), "a hostname is the container's own business"
        two.detach()
        assert inside.resolve("two") == set() and inside.resolve("db") == set(both(three))
        assert inside.say("cat /etc/hostname") == "first"


def both(box):
    place = box.attached["networks"]["net"]
    return place["address"], place["address6"]


@lab
def test_networks_keep_their_names_to_themselves(host):
    for name in ("front", "back"):
        host.runtime("network", "create", name)
    web = host.box("web", network=["front"])
    middle = host.box("middle", network=["front", "back"])
    database = host.box("database", network=["back"])
    assert "database" not in web.hosts() and "web" not in database.hosts()
    assert web.hosts()["middle"] == {middle.address("front")}
    assert database.hosts()["middle"] == {middle.address("back")}
    assert middle.hosts()["middle"] == {middle.address("front"), middle.address("back")}
    assert {"web", "database"} <= set(middle.hosts())
    plain = host.box("plain")
    assert set(plain.hosts()) & {"web", "middle", "plain"} == set(), "the default network has no names, as docker's"
    with pytest.raises(RuntimeFailure, match="--network-alias needs a network that was made"):
        host.box("other", aliases=["x"])


@lab
def test_added_hosts_and_resolvers(host):
    words = ["api:192.0.2.7", "six:2001:db8::7", "six2=[2001:db8::8]", "outside:host-gateway"]
    web = host.box("web", add_hosts=words, dns=["192.0.2.53"], dns_search=["example.org", "example.net"])
    found = web.hosts()
    assert found["api"] == {"192.0.2.7"} and found["six"] == {"2001:db8::7"} and found["six2"] == {"2001:db8::8"}
    assert found["outside"] == {"10.209.0.1"}
    assert found["localhost"] == {"127.0.0.1", "::1"}
    assert found[web.id[:12]] == {web.address()}
    text = (web.folder / "resolv.conf").read_text()
    assert text.startswith("nameserver 192.0.2.53\nsearch example.org example.net\n")
    assert (web.folder / "hostname").read_text() == web.id[:12] + "\n"
    for name in names.FILES:
        assert (web.folder / name).stat().st_mode & 0o777 == 0o644


@lab
def test_the_hosts_network_has_the_hosts_names(host):
    web = host.box("web", network="host", add_hosts=["api:192.0.2.7"])
    assert set(Path("/etc/hosts").read_text().split()) <= set((web.folder / "hosts").read_text().split())
    assert web.hosts()["api"] == {"192.0.2.7"}


@lab
def test_mounts(host):
    web = host.box("web", read_only=True)
    assert [one["destination"] for one in web.planned["mounts"]] == ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"]
    for mount in web.planned["mounts"]:
        assert mount["type"] == "bind" and {"bind", "ro", "nosuid", "nodev", "noexec"} == set(mount["options"])


@lab
def test_a_real_container(host, tmp_path):
    """Planned, created, attached, started; and joined by another one."""
    if busybox() is None:
        pytest.skip("needs a busybox without libraries (Debian: busybox-static)")
    host.runtime("network", "create", "net")
    bundle, joined = Bundle(tmp_path), Bundle(tmp_path / "joined")
    try:
        other = host.box("other", network=["net"])
        options = {"network": ["net"], "hostname": "first"}
        planned = host.call(attach.plan, "c", "web", options, str(tmp_path))
        assert planned["namespace"] == "new"
        bundle.config["mounts"] += planned["mounts"]
        bundle.process["args"] = ["sh", "-c", "cat /etc/hosts /etc/hostname; sleep 1000"]
        bundle.create("c")
        pid = bundle.state("c")["pid"]
        shown = host.call(attach.attach, "c", "web", pid, options, str(tmp_path))
        bundle.do("start", "c")
        address = shown["networks"]["net"]["address"]
        said = eventually(lambda: text if "first\n" in (text := (bundle.folder / "output").read_text()) else "")
        assert f"{address}\tfirst web c\n" in said and f"{other.address('net')}\tother" in said
        planned = host.call(attach.plan, "j", "joined", {"network": "container:c"}, str(tmp_path))
        joined.config["mounts"] += planned["mounts"]
        joined.without("network")
        joined.linux["namespaces"].append({"type": "network", "path": planned["namespace"]})
        said = joined.output("cat /etc/hosts /proc/net/fib_trie")
        assert f"{address}\tfirst web" in said and f"|-- {address}" in said
    finally:
        host.call(attach.detach, "c")
        bundle.destroy()
        joined.destroy()


@pytest.mark.parametrize(
    "options",
    [
        {"hostname": "a b"},
        {"hostname": "-x"},
        {"aliases": ["x\n127.0.0.1 example.org"], "network": ["net"]},
        {"add_hosts": ["x"]},
        {"add_hosts": ["x:"]},
        {"add_hosts": [":192.0.2.1"]},
        {"add_hosts": ["x:192.0.2.1\n192.0.2.2 y"]},
        {"add_hosts": ["a b:192.0.2.1"]},
        {"dns": ["example.org"]},
        {"dns": ["192.0.2.1\nsearch evil"]},
        {"dns_search": ["a\nnameserver 192.0.2.1"]},
        {"dns_options": ["ndots:1\nnameserver 192.0.2.1"]},
        {"ip": "192.0.2.1"},
        {"ip": "x"},
        {"mac": "01:00:5e:00:00:01"},
        {"mac": "02:42"},
        {"mac": "zz:42:00:00:00:01"},
        {"network": ["host", "bridge"]},
        {"network": ["bridge", "bridge"]},
        {"network": ["nobody"]},
        {"network": "../../etc"},
        {"network": "none", "ip": "192.0.2.1"},
    ],
    ids=str,
)
def test_bad_options_are_refused_before_anything_is_made(options, tmp_path, monkeypatch):
    monkeypatch.setenv("SHEPHERD_RUNTIME_ROOT", str(tmp_path / "state"))
    (tmp_path / "container").mkdir()
    with pytest.raises(RuntimeFailure) as caught:
        attach.plan("c" * 64, "web", options, str(tmp_path / "container"))
    assert len(caught.value.message) < 200
    assert list((tmp_path / "container").iterdir()) == []


@given(st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_added_makes_lines_of_one_name_and_one_address(words):
    try:
        added = names.parse_hosts(words)
    except RuntimeFailure:
        return
    lines = names.hosts(added, [], "192.0.2.1").splitlines()
    assert len(lines) == 2 + len(words)
    assert all(len(line.split("\t")) == 2 for line in lines)


def resolver(monkeypatch, tmp_path, text, upstream=None, outside=True, **options):
    """/etc/resolv.conf of a container on a host with this one."""
    for name, content in (("_FILE", text), ("_UPSTREAM", upstream)):
        monkeypatch.setattr(resolvers, name, str(tmp_path / name))
        if content is not None:
            (tmp_path / name).write_text(content)
    return resolvers.text_of(options, outside=outside)


def test_resolvers_of_the_host(monkeypatch, tmp_path):
    text = "# of the host\nnameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n"
    text += "search a.org b.org\noptions ndots:2\n"
    assert resolver(monkeypatch, tmp_path, text) == "nameserver 192.0.2.1\nsearch a.org b.org\noptions ndots:2\n"
    stub = "nameserver 127.0.0.53\noptions edns0\n"
    assert resolver(monkeypatch, tmp_path, stub, "nameserver 192.0.2.9\n") == "nameserver 192.0.2.9\n"


def test_nobody_elses_resolver_is_put_in_place_of_a_missing_one(monkeypatch, tmp_path):
    assert resolver(monkeypatch, tmp_path, "nameserver 127.0.0.1\n", outside=False) == ""
    assert resolver(monkeypatch, tmp_path, "nameserver fe80::1%eth0\n") == ""
    assert resolver(monkeypatch, tmp_path, "nameserver 127.0.0.1\n") == "nameserver 127.0.0.11\n"
    assert resolver(monkeypatch, tmp_path, "", dns_search=["."]) == ""


def test_a_text_that_gets_shorter_leaves_no_part_of_a_line(monkeypatch, tmp_path):
    """Between the two steps of a change the file has the new text, and nothing of the old one behind it."""
    short = "127.0.0.1\tlocalhost\n"
    long = short + "".join(f"10.210.0.{number}\tname{number}\n" for number in range(50))
    between = []
    ftruncate = os.ftruncate

    def look(descriptor, size):
        between.append((tmp_path / "hosts").read_text())
        ftruncate(descriptor, size)

    names.write(str(tmp_path), "hosts", long)
    monkeypatch.setattr(names.os, "ftruncate", look)
    names.write(str(tmp_path), "hosts", short)
    assert [text.strip("\n") for text in between] == [short.strip("\n")]
    assert (tmp_path / "hosts").read_text() == short


@lab
@pytest.mark.parametrize("server", ["127.0.0.53", "::1"])
def test_the_hosts_own_name_server_is_asked_for_the_container(host, server, monkeypatch, tmp_path):
    """Which listens on the host's loopback alone: reached by what listens on the container's."""
    resolver(monkeypatch, tmp_path, f"nameserver {server}\n")
    host.runtime("network", "create", "--internal", "back")
    web, other, shut = host.box("web"), host.box("other", dns=["192.0.2.1"]), host.box("shut", network=["back"])
    assert (web.folder / "resolv.conf").read_text() == "nameserver 127.0.0.11\n"
    assert (other.folder / "resolv.conf").read_text() == "nameserver 192.0.2.1\n"
    assert (shut.folder / "resolv.conf").read_text() == "", "nothing goes out of there, not by names either"
    with host.listen(53, server) as streams, host.listen(53, server, socket.SOCK_DGRAM) as packets:
        for turn in range(2):
            exchange(web.connect("127.0.0.11", 53), streams)
            with web.connect("127.0.0.11", 53, socket.SOCK_DGRAM) as client:
                client.send(b"question")
                data, sender = packets.recvfrom(100)
                packets.sendto(data[::-1], sender)
                assert client.recv(100) == b"noitseuq"
            if not turn:
                (pid,) = host.forwarders()
                os.kill(pid, signal.SIGKILL)
                eventually(lambda: not host.forwarders())
                host.call(attach.sweep)
    for place in (other, shut, host, host.client):
        with pytest.raises(ConnectionRefusedError):
            place.connect("127.0.0.11", 53)
    web.end()
    eventually(lambda: not host.forwarders())
