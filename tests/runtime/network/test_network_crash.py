"""The process that plugs a container in, or unplugs it, is killed at each of its steps: what is left is found."""

from __future__ import annotations

import json
import os
import select
import signal
import sys

import pytest
from places import PATIENCE, Box, eventually, exchange, fork

from shepherd.runtime.network import attach, networks, records, release

pytestmark = [pytest.mark.lab, pytest.mark.slow]
OPTIONS = {"network": ["net", "bridge"], "ports": ["8080:80"]}


def killed_at(host, step, function, *arguments):
    """Run it in a process that is killed before the line of ours that is its `step`th; whether it came that far."""
    left = [step]

    def trace(frame, event, _argument):
        if "/shepherd/runtime/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def work():
        host.enter()
        os.environ.update(host.environment, SHEPHERD_RUNTIME_ROOT=str(host.root))
        sys.settrace(trace)
        function(*arguments)

    child = fork(work, host.namespace)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, "it failed by itself"
    return os.WIFSIGNALED(status)


def traces(host):
    """What is left of containers."""
    found = [str(one) for one in (host.root / "networks").glob("*/leases/*")]
    found += [str(one) for one in (host.root / "networks" / ".containers").iterdir()]
    found += [str(one) for one in (host.root / "networks").glob(".[ng]*")]
    found += [name for name in host.interfaces() if name.startswith("veth")]
    found += [line for line in host.rules().splitlines() if "dnat to" in line]
    found += [one["dst"] for one in json.loads(host.program("ip", "-json", "neigh", "show", "nud", "permanent").stdout)]
    return found + host.forwarders()


@pytest.mark.parametrize("publish", ["forwarder", "nat", "front"])
def test_attach(host, publish):
    kind, options = ("forwarder", {**OPTIONS, "front": "shop"}) if publish == "front" else (publish, OPTIONS)
    host.runtime("network", "create", "--ipv6", "-o", f"shepherd.publish={kind}", "net")
    witness = host.box("witness", network=["net"])
    before = sorted(map(str, traces(host)))
    step = 7
    while True:
        box = Box(host, "web")
        try:
            host.call(attach.plan, box.id, box.name, options, str(box.folder))
            more = killed_at(host, step, attach.attach, box.id, box.name, box.pid, options, str(box.folder))
            if more and step % 2:
                box.attach(**options)  # its supervisor tries again
                with box.listen(80) as server:
                    exchange(host.connect("127.0.0.1", 8080), server)
            box.end()
            eventually(lambda: not host.forwarders())
            host.call(attach.sweep)
            assert sorted(map(str, traces(host))) == before, f"step {step}"
            assert "web" not in witness.hosts()
        finally:
            box.destroy()
        if not more:
            break
        step += 933 if publish == "front" else 311
    assert step > 300


def test_who_hands_connections_over(host):
    """One of the two has them at any step, and the next attempt brings it to its end."""
    host.runtime("network", "create", "net")
    options = {"network": ["net"], "ports": ["8080:80"], "front": "shop"}
    one, two = (host.box(name, **options) for name in ("one", "two"))
    with one.listen(80) as first, two.listen(80) as second:
        new, old, step, more = (two, second), (one, first), 5, True
        while more:
            serve, hold = ({box.id: box.name} for box, _server in (new, old))
            more = killed_at(host, step, attach.switch, "shop", serve, hold)
            with host.connect("127.0.0.1", 8080):
                assert select.select([first, second], [], [], PATIENCE)[0]
                for server in select.select([first, second], [], [], 0)[0]:
                    server.accept()[0].close()
            host.call(attach.switch, "shop", serve, hold)
            exchange(host.connect("127.0.0.1", 8080), new[1])
            new, old, step = old, new, step + 97
        assert step > 200


def test_detach(host):
    host.runtime("network", "create", "--ipv6", "-o", "shepherd.publish=nat", "net")
    witness = host.box("witness", network=["net"])
    before = sorted(map(str, traces(host)))
    step = 5
    while True:
        box = Box(host, "web")
        try:
            box.attach(**OPTIONS)
            more = killed_at(host, step, attach.detach, box.id)
            box.detach()
            if not more or step % 2:
                box.end()
                host.call(attach.sweep)
            assert sorted(map(str, traces(host))) == before, f"step {step}"
            assert "web" not in witness.hosts()
        finally:
            box.destroy()
        if not more:
            break
        step += 131
    assert step > 100


def names():
    return [one["name"] for one in records.Records().networks()]


def create():
    networks.create(records.Records(), networks.Wanted("net"))


def remove():
    kept = records.Records()
    release.remove_network(kept, networks.find(kept, "net"))


@pytest.mark.parametrize("function", [create, remove])
def test_a_network_is_there_or_not(host, function):
    """And one that is half gone can be removed."""
    step = 5
    while True:
        if function is remove and "net" not in host.call(names):
            host.call(create)
            host.box("web", network=["net"]).end()
            host.boxes.pop("web").destroy()
        more = killed_at(host, step, function)
        if function is create and "net" in host.call(names):
            host.call(remove)
        host.call(attach.sweep)
        assert not list((host.root / "networks").glob(".[ng]*"))
        if "net" not in host.call(names):
            assert not [name for name in host.interfaces() if name.startswith("shp-")]
        if not more:
            break
        step += 23
