"""Ports of a container on the host: taken, served by a process, translated by the kernel where that was asked for."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import forwarding, networks, records
from shepherd.runtime.network.ports import Port


def publish(kept: records.Records, record: dict, wanted: list) -> None:
    """Take the ports on the host and start the process that serves them; the record says so before it does.

    Raises RuntimeFailure where a port is not to be had.
    """
    from shepherd.runtime.network import forwarder

    def keep(process):
        record["forwarder"] = records.process(process)
        kept.save_container(record)

    target = _target(kept, record)
    listeners = []
    try:
        for port in wanted:
            opened, number = forwarder.bind(port)
            listeners.append((opened, port.protocol, port.container))
            shown = {"address": port.address, "host": number, "container": port.container, "protocol": port.protocol}
            record["ports"].append(shown)
        forwarder.start(listeners, target, record, keep)
    finally:
        for opened, _protocol, _number in listeners:
            opened.close()
    if any(networks.is_translated(one) for one in filter(None, map(kept.network, record["networks"]))):
        forwarding.apply(kept)


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
    for name, shown in record["networks"].items():
        network = kept.network(name)
        if network is not None and not network["internal"]:
            return shown["address"]
    raise RuntimeFailure("container %s has no network that leads outside" % record["name"])
