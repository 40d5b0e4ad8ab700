"""Ports of a container on the host: taken, served by a process, translated by the kernel where that was asked for.

The same process passes on what the container asks the host's own name server, where there is no other.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls, user_namespace
from shepherd.runtime.network import apart, forwarder, forwarding, networks, records, resolvers
from shepherd.runtime.network.ports import Port


def publish(kept: records.Records, record: dict, wanted: list) -> None:
    """Take the ports on the host and start the process that serves them; the record says so before it does.

    Nothing happens where there is nothing to serve. Raises RuntimeFailure where a port is not to be had.
    """

    def keep(process):
        record["forwarder"] = records.process(process)
        kept.save_container(record)

    if not (wanted or record["relay"]):
        return
    target, within = _target(kept, record)
    listeners = []
    try:
        if record["relay"]:
            listeners += _relay(record)
        for port in wanted:
            opened, number = forwarder.bind(port)
            listeners.append((opened, port.protocol, (target, port.container)))
            shown = {"address": port.address, "host": number, "container": port.container, "protocol": port.protocol}
            record["ports"].append(shown)
        forwarder.start(listeners, record, keep, within)
    finally:
        if within is not None:
            os.close(within)
        for opened, _protocol, _target_of_it in listeners:
            opened.close()
    if any(networks.is_translated(one) for one in filter(None, map(kept.network, record["networks"]))):
        forwarding.apply(kept)


def _relay(record):
    """Sockets inside the container, whose other side is the host's own name server."""
    namespace = os.open("/proc/%d/ns/net" % record["pid"], os.O_RDONLY | os.O_CLOEXEC)
    try:
        with syscalls.inside(namespace, syscalls.CLONE_NEWNET):
            ports = [Port(resolvers.HERE, 53, 53, 53, protocol) for protocol in ("udp", "tcp")]
            return [(forwarder.bind(port)[0], port.protocol, (record["relay"], 53)) for port in ports]
    finally:
        os.close(namespace)


def publish_again(kept: records.Records, record: dict) -> None:
    """Start the process again that served a living container's ports and is gone."""
    wanted = [
        Port(one["address"], one["host"], one["host"], one["container"], one["protocol"]) for one in record["ports"]
    ]
    before, record["ports"] = record["ports"], []
    try:
        publish(kept, record, wanted)
    except RuntimeFailure:
        record["ports"] = before  # somebody has the port now: the next sweep tries again


def _target(kept, record):
    """(address of the container, descriptor of the network namespace that it is to be had from if not the host's)."""
    if user_namespace.of_user():
        return apart.ADDRESS, os.open("/proc/%d/ns/net" % record["pid"], os.O_RDONLY | os.O_CLOEXEC)
    for name, shown in record["networks"].items():
        network = kept.network(name)
        if network is not None and not network["internal"]:
            return shown["address"], None
    raise RuntimeFailure("container %s has no network that leads outside" % record["name"])
