"""`shepherd-runtime network`: Docker's options, and what is shown in Docker's fields."""

from __future__ import annotations

import json
import threading

import pytest

from shepherd.runtime.network import attach

pytestmark = pytest.mark.lab


def inspect(host, *names):
    return json.loads(host.runtime("network", "inspect", *names).stdout)


def test_create_inspect_and_list(host):
    words = ["--subnet", "10.5.0.0/16", "--gateway", "10.5.0.254", "--ip-range", "10.5.1.0/24"]
    words += ["--ipv6", "--subnet", "fd00:5::/64"]
    words += ["--label", "tier=front", "--label", "plain", "-o", "shepherd.publish=nat"]
    identity = host.runtime("network", "create", *words, "front").stdout.strip()
    assert len(identity) == 64
    web = host.box("web", network=["front"])
    (found,) = inspect(host, "front")
    created = found.pop("Created")
    assert created.endswith("Z") and created[10] == "T"
    endpoint = found["Containers"][web.id].pop("EndpointID")
    assert len(endpoint) == 64
    assert found == {
        "Name": "front",
        "Id": identity,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": True,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [
                {"Subnet": "10.5.0.0/16", "Gateway": "10.5.0.254", "IPRange": "10.5.1.0/24"},
                {"Subnet": "fd00:5::/64", "Gateway": "fd00:5::1"},
            ],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            web.id: {
                "Name": "web",
                "MacAddress": "02:42:0a:05:01:00",
                "IPv4Address": "10.5.1.0/16",
                "IPv6Address": "fd00:5::100/64",
            }
        },
        "Options": {"shepherd.publish": "nat"},
        "Labels": {"tier": "front", "plain": ""},
    }
    assert inspect(host, identity[:8], identity) == inspect(host, "front", "front")
    rows = [json.loads(line) for line in host.runtime("network", "ls", "--format", "json").stdout.splitlines()]
    assert [row["Name"] for row in rows] == ["bridge", "front", "host", "none"]
    assert rows[1] == {
        "CreatedAt": created,
        "Driver": "bridge",
        "ID": identity[:12],
        "IPv4": "true",
        "IPv6": "true",
        "Internal": "false",
        "Labels": "plain=,tier=front",
        "Name": "front",
        "Scope": "local",
    }


def test_list_filters_templates_and_tables(host):
    host.runtime("network", "create", "--label", "a=b", "one")
    host.runtime("network", "create", "--label", "a=c", "two")
    ls = ("network", "ls")
    assert (
        host.runtime(*ls, "--format", "{{.Name}} {{.Driver}}", "--filter", "label=a").stdout
        == "one bridge\ntwo bridge\n"
    )
    assert host.runtime(*ls, "--format", "{{.Name}}", "-f", "label=a=c").stdout == "two\n"
    assert host.runtime(*ls, "--format", "{{.Name}}", "-f", "name=on").stdout == "none\none\n"
    assert host.runtime(*ls, "--format", "{{.Name}}", "-f", "driver=null").stdout == "none\n"
    assert (
        host.runtime(*ls, "-q", "--no-trunc", "-f", "name=one").stdout.strip().endswith(inspect(host, "one")[0]["Id"])
    )
    lines = host.runtime("network", "list").stdout.splitlines()
    assert lines[0].split() == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"] and len(lines) == 6
    assert host.runtime("network", "inspect", "-f", "{{.Name}} {{json .Labels}}", "one").stdout == 'one {"a": "b"}\n'


def test_remove_and_prune(host):
    for name in ("one", "two", "three", "four"):
        host.runtime("network", "create", *(["--label", "keep"] if name == "four" else []), name)
    web = host.box("web", network=["two"])
    host.box("dead", network=["three"]).end()
    done = host.runtime("network", "rm", "one", "two", "nobody", "bridge", check=False)
    assert done.returncode == 1 and done.stdout == "one\n"
    assert "network two is in use by web" in done.stderr and "no such network: 'nobody'" in done.stderr
    assert "network bridge is part of the runtime" in done.stderr
    assert host.runtime("network", "rm", "-f", "nobody").stdout == ""
    pruned = host.runtime("network", "prune", "--force", "--filter", "label=keep")
    assert pruned.stdout == "Deleted Networks:\nfour\n"
    assert host.runtime("network", "prune", "-f").stdout == "Deleted Networks:\nthree\n", "its container is dead"
    web.detach()
    assert host.runtime("network", "prune", "-f").stdout == "Deleted Networks:\ntwo\n"
    assert host.runtime("network", "prune", "-f").stdout == ""
    assert [one["Name"] for one in inspect(host, "bridge", "host", "none")] == ["bridge", "host", "none"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--driver", "overlay", "x"], "no such driver: 'overlay'"),
        (["--subnet", "10.1.0.0", "x"], "'10.1.0.0' is no subnet"),
        (["--subnet", "10.1.0.1/24", "x"], "10.1.0.1/24 is no subnet"),
        (["--subnet", "10.1.0.0/31", "x"], "no room"),
        (["--subnet", "fd00::/64", "x"], "a subnet of IPv6"),
        (["--subnet", "10.1.0.0/24", "--subnet", "10.2.0.0/24", "x"], "one subnet of IPv4"),
        (["--subnet", "10.1.0.0/24", "--gateway", "10.2.0.1", "x"], "10.2.0.1 is not in 10.1.0.0/24"),
        (["--subnet", "10.1.0.0/24", "--gateway", "10.1.0.255", "x"], "no address of a host"),
        (["--subnet", "10.1.0.0/24", "--gateway", "10.1.0.1", "--gateway", "10.1.0.2", "x"], "given twice"),
        (["--subnet", "10.1.0.0/24", "--ip-range", "10.1.0.0/16", "x"], "larger than"),
        (["--subnet", "10.99.0.128/25", "x"], "overlaps with 10.99.0.0/24 of network taken"),
        (["--subnet", "198.51.100.128/25", "x"], "in which this machine has an address"),
        (["-o", "com.docker.network.bridge.name=taken0", "x"], "interface taken0 is network taken's"),
        (["-o", "com.docker.network.bridge.name=" + "x" * 16, "x"], "at most 15"),
        (["-o", "com.docker.network.driver.mtu=1e3", "x"], "mtu"),
        (["-o", "com.docker.network.bridge.enable_icc=no", "x"], "should be true or false"),
        (["-o", "speed=high", "x"], "no such option of a network: 'speed'"),
        (["taken"], "network taken exists"),
        (["host"], "is there already"),
        (["a/b"], "is no name for a network"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_and_nothing_is_made(host, words, said):
    host.runtime(
        "network", "create", "--subnet", "10.99.0.0/24", "-o", "com.docker.network.bridge.name=taken0", "taken"
    )
    before = host.runtime("network", "ls", "--no-trunc").stdout
    done = host.runtime("network", "create", *words, check=False)
    assert done.returncode == 1 and said in done.stderr and done.stderr.startswith("shepherd-runtime: ")
    assert host.runtime("network", "ls", "--no-trunc").stdout == before


def test_subnets_that_this_machine_uses_are_left_out(host):
    with host.netlink() as netlink:
        netlink.add_address(netlink.links()["lan"], "10.210.0.77", 23)
    host.runtime("network", "create", "one")
    host.runtime("network", "create", "two")
    subnets = [one["IPAM"]["Config"][0]["Subnet"] for one in inspect(host, "one", "two")]
    assert subnets == ["10.210.2.0/24", "10.210.3.0/24"]


def test_networks_made_at_once_have_different_subnets(host):
    names = [f"n{number}" for number in range(8)]
    said = {}

    def create(name):
        said[name] = host.call(lambda: inspect_new(name))

    threads = [threading.Thread(target=create, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(said.values())) == len(names)


def inspect_new(name):
    from shepherd.runtime.network import networks, records

    return networks.create(records.Records(), networks.Wanted(name))["subnets"][0]["subnet"]


def test_two_states_on_one_host_do_not_undo_each_other(host):
    """Another --root, as tests and people have."""
    web = host.box("web")
    first = host.root
    host.root = host.folder / "other-state"
    other = host.box("other")
    assert other.address() != web.address(), "its subnet is not free"
    assert host.rules().count("table inet shepherd") == 2
    other.detach()
    host.call(attach.sweep)
    host.root = first
    with web.listen(80) as server:
        host.connect(web.address(), 80).close()
        server.accept()[0].close()
    assert host.box("third").address() == "10.209.0.3"
