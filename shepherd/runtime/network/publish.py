"""Ports of a container on the host: taken, served by a process, translated by the kernel where that was asked for.

Those that it shares with others are their front's (front.py). The same process as serves the others passes on what the
container asks the host's own name server, where there is no other.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls, user_namespace
from shepherd.runtime.network import (
    apart,
    forwarding,
    front,
    listening,
    networks,
    records,
    resolvers,
    serving,
)
from shepherd.runtime.network.ports import Port


def publish(kept: records.Records, record: dict, wanted: list) -> None:
    """Take the ports on the host and start the process that serves them; the record says so before it does.

    Nothing happens where there is nothing to serve. Raises RuntimeFailure where a port is not to be had.
    """
    shared = [port for port in wanted if record.get("front") and front.is_shared(port)]
    if not (wanted or record["relay"]):
        return
    target, within = _target(kept, record)
    try:
        if shared:
            record["target"] = target
        for port in shared:
            record["ports"].append(dict(_shown(port, port.first), shared=True))
        _serve(kept, record, [port for port in wanted if port not in shared], target, within)
    finally:
        if within is not None:
            os.close(within)
    if shared:
        kept.save_container(record)
        front.apply(kept, record["front"])
    if any(networks.is_translated(one) for one in filter(None, map(kept.network, record["networks"]))):
        forwarding.apply(kept)


def _serve(kept, record, wanted, target, within):
    """By a process of the container's own."""

    def keep(process):
        record["forwarder"] = records.process(process)
        kept.save_container(record)

    listeners, targets = {}, {}
    try:
        if record["relay"]:
            listeners.update(_relay(record))
            targets.update({key: [record["relay"], 53] for key in listeners})
        for port in wanted:
            opened, number = listening.bind(port)
            shown = _shown(port, number)
            key = front.key_of(shown)
            listeners[key], targets[key] = opened, [target, port.container]
            record["ports"].append(shown)
        if listeners:
            member = {"pid": record["pid"], "began": record["began"], "targets": targets}
            serving.start(listeners, {record["container"]: member}, keep, within)
    finally:
        for one in listeners.values():
            one.close()


def _shown(port, number):
    return {"address": port.address, "host": number, "container": port.container, "protocol": port.protocol}


def _relay(record):
    """Sockets inside the container, whose other side is the host's own name server."""
    namespace = os.open("/proc/%d/ns/net" % record["pid"], os.O_RDONLY | os.O_CLOEXEC)
    try:
        with syscalls.inside(namespace, syscalls.CLONE_NEWNET):
            ports = [Port(resolvers.HERE, 53, 53, 53, protocol) for protocol in ("udp", "tcp")]
            return {"%s/relay" % port.protocol: listening.bind(port)[0] for port in ports}
    finally:
        os.close(namespace)


def publish_again(kept: records.Records, record: dict) -> None:
    """Start the process again that served a living container's ports and is gone."""
    wanted = [
        Port(one["address"], one["host"], one["host"], one["container"], one["protocol"])
        for one in record["ports"]
        if not one.get("shared")
    ]
    before, record["ports"] = record["ports"], [one for one in record["ports"] if one.get("shared")]
    target, within = _target(kept, record)
    try:
        _serve(kept, record, wanted, target, within)
    except RuntimeFailure:
        record["ports"] = before  # somebody has the port now: the next sweep tries again
    finally:
        if within is not None:
            os.close(within)


def _target(kept, record):
    """(address of the container, descriptor of the network namespace that it is to be had from if not the host's)."""
    if user_namespace.of_user():
        return apart.ADDRESS, os.open("/proc/%d/ns/net" % record["pid"], os.O_RDONLY | os.O_CLOEXEC)
    for name, shown in record["networks"].items():
        network = kept.network(name)
        if network is not None and not network["internal"]:
            return shown["address"], None
    raise RuntimeFailure("container %s has no network that leads outside" % record["name"])
