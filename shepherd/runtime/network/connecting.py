"""A running container's networks, changed while it runs: one more cable, or one less.

What it is told of the change is an interface that comes or goes, and its /etc/hosts. Where the way out of it goes, its
published ports go by the next network that leads outside; without one they are closed until there is one again.
"""

import os

from shepherd.runtime.bundle import state
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.netlink import Netlink
from shepherd.runtime.network import (
    activation,
    attach,
    bridge,
    forwarding,
    front,
    hosts,
    networks,
    publish,
    records,
    release,
)
from shepherd.runtime.network.ports import Port, parse_ports


def connect(container_id: str, network: dict, options: dict) -> dict:
    """Plug it into a network's record, too: {"networks", "ports"} as attach returns them.

    `options` are those of attach, with "connected" for this network. Raises RuntimeFailure, and all is as it was.
    """
    kept = records.Records()
    with kept.lock():
        record = _running(kept, container_id)
        name = network["name"]
        if (kept.network(name) or {}).get("id") != network["id"]:
            raise RuntimeFailure("network %s was removed meanwhile" % name)
        if name in record["networks"]:
            raise RuntimeFailure("container %s is on network %s already" % (record["name"], name))
        namespace = _namespace(record)
        try:
            with Netlink() as netlink, Netlink(namespace) as inside:
                number = next(one for one in range(1 << 16) if inside.link("eth%d" % one) is None)
                plug = attach.plug(kept, network, number, options)
                default = not _outside(kept, record)
                record["networks"][name] = plug.shown
                kept.save_container(record)  # from here on it can be found and undone
                try:
                    for address in (plug.shown["address"], plug.shown.get("address6")):
                        if address:
                            kept.lease(name, address, container_id)
                    forwarding.apply(kept)
                    plug.connect(namespace, bridge.ensure(kept, network, netlink), netlink, inside, default)
                    if default and not network["internal"] and not (record["forwarder"] or record["ports"]):
                        publish.publish(kept, record, parse_ports(options.get("ports") or []))
                except BaseException as error:
                    _pull(kept, record, name, netlink)
                    if isinstance(error, OSError):
                        raise RuntimeFailure("cannot connect container %s: %s" % (record["name"], error)) from None
                    raise
        finally:
            os.close(namespace)
        _tell(kept, record, network)
    activation.wait(record["pid"], [record["networks"][name]], [network])
    return {"networks": record["networks"], "ports": record["ports"]}


def disconnect(container_id: str, name: str) -> dict:
    """Unplug it from a network: {"networks", "ports"} as they are then. Raises RuntimeFailure where it is not on it."""
    kept = records.Records()
    with kept.lock():
        record = _running(kept, container_id)
        if name not in record["networks"]:
            raise RuntimeFailure("container %s is not on network %s" % (record["name"], name))
        network = kept.network(name)
        was_out = _outside(kept, record)[:1] == [name]
        namespace = _namespace(record)
        try:
            with Netlink() as netlink, Netlink(namespace) as inside:
                _pull(kept, record, name, netlink)
                left = _outside(kept, record)
                if was_out and left:
                    shown = record["networks"][left[0]]
                    for key in ("gateway", "gateway6"):
                        if shown.get(key):
                            inside.add_default_route(shown[key])
        finally:
            os.close(namespace)
        if was_out and (record["forwarder"] or record["ports"]):
            _move_ports(kept, record, left)
        if network is not None:
            _tell(kept, record, network)
            if networks.is_translated(network):
                forwarding.apply(kept)
        return {"networks": record["networks"], "ports": record["ports"]}


def _running(kept, container_id):
    record = kept.container(container_id)
    if record is None or not records.alive(record):
        raise RuntimeFailure("container %s is not running" % container_id[:12])
    if record["mode"] != "bridge":
        raise RuntimeFailure("container %s has no network of its own" % record["name"])
    return record


def _namespace(record):
    """Its network namespace, open."""
    descriptor = os.open("/proc/%d/ns/net" % record["pid"], os.O_RDONLY | os.O_CLOEXEC)
    if state.start_time(record["pid"]) != record["began"]:
        os.close(descriptor)
        raise RuntimeFailure("container %s is not running" % record["name"])
    return descriptor


def _outside(kept, record):
    """The names of its networks that lead outside: the first is the way out, and that of its ports."""
    found = ((name, kept.network(name)) for name in record["networks"])
    return [name for name, network in found if network is not None and not network["internal"]]


def _pull(kept, record, name, netlink):
    """Take a cable away, its addresses, and at last what is known of it."""
    release.unplug_one(kept, record["container"], name, record["networks"][name], netlink)
    del record["networks"][name]
    kept.save_container(record)


def _move_ports(kept, record, left):
    """Whoever serves them sends to an address that is gone: again from the beginning, with another, if there is one."""
    wanted = [
        Port(one["address"], one["host"], one["host"], one["container"], one["protocol"]) for one in record["ports"]
    ]
    if record["forwarder"]:
        release.end(record["forwarder"])
    record.update(forwarder=None, ports=[])
    try:
        if left:
            publish.publish(kept, record, wanted)
    except RuntimeFailure:
        record["ports"] = []  # somebody was quicker: they are closed, until its next start
    kept.save_container(record)
    if record.get("front") and not left:
        front.apply(kept, record["front"])  # others go on without it


def _tell(kept, record, network):
    neighbours = hosts.Neighbours(kept, {record["container"]: record})
    neighbours.write_one(record)
    neighbours.write([network])
