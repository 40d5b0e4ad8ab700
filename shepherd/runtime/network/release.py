"""Taking away what was made: of a container that has ended, of those whose end nobody saw, and of a network.

To be called with the records' lock, but for `remove_network`.
"""

import time

from shepherd.runtime.bundle import state
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import forwarding, front, hosts, networks, records


def release(kept: records.Records, container_id: str) -> None:
    """Free all that the container's record names, its record last."""
    record = kept.container(container_id)
    if record is None:
        return
    if record["forwarder"]:
        end(record["forwarder"])
    found = []
    if record["networks"]:
        from shepherd.runtime.linux.netlink import Netlink

        with Netlink() as netlink:
            for name, shown in record["networks"].items():
                network = unplug_one(kept, container_id, name, shown, netlink)
                if network is not None:
                    found.append(network)
    hosts.Neighbours(kept, {container_id: None}).write(found)
    if record.get("front"):  # while there is a record: who comes after one that was killed here knows of it
        try:
            front.apply(kept, record["front"], container_id)
        except RuntimeFailure:
            pass  # the process of the others had to be started again, and somebody has a port: the next sweep tries
    kept.remove_container(container_id)
    if any(networks.is_translated(one) for one in found):
        forwarding.apply(kept)


def unplug_one(kept: records.Records, container_id: str, name: str, shown: dict, netlink):
    """Take away the cable to one network, and its addresses: the network's record, None where that is gone."""
    from shepherd.runtime.network import bridge

    network = kept.network(name)
    if network is not None and network["id"] != shown["network"]:
        network = None  # another one of that name by now
    held = _held(kept, name, shown, container_id) if network is not None else []
    bridge.unplug(network, shown["link"], held, netlink)
    for address in held:
        kept.free(name, address, container_id)
    return network


def unplug(record: dict) -> None:
    """Take a container's cables away, which no one else's have the names of; without the lock, and before the rest."""
    from shepherd.runtime.linux.netlink import Netlink
    from shepherd.runtime.network import bridge

    with Netlink() as netlink:
        for shown in record["networks"].values():
            bridge.unplug(None, shown["link"], [], netlink)


def _held(kept, name, shown, container_id):
    """Its addresses, unless they are another's: who was killed before it had taken them may have named them."""
    named = [shown[key] for key in ("address", "address6") if shown.get(key)]
    return [address for address in named if kept.holder(name, address) in ("", container_id)]


def end(process: dict) -> None:
    """End a forwarder, and wait for that: its ports are to be free."""
    if not records.alive(process):
        return
    state.kill_process(process)
    deadline = time.monotonic() + 5
    while state.alive(process) and time.monotonic() < deadline:
        time.sleep(0.001)


def sweep(kept: records.Records) -> None:
    """Free what containers have whose first process is gone, and addresses that nobody's record names."""
    kept.clear()
    known = set()
    for record in kept.containers():
        if records.alive(record):
            known.add(record["container"])
        else:
            release(kept, record["container"])
    for network in kept.networks():
        for address in kept.leases(network["name"]):
            if kept.holder(network["name"], address) not in known:
                kept.free(network["name"], address, kept.holder(network["name"], address))


def remove_network(kept: records.Records, network: dict) -> None:
    """Take a network away. Raises RuntimeFailure while containers are on it."""
    from shepherd.runtime.linux.netlink import Netlink
    from shepherd.runtime.network import bridge

    with kept.lock():
        if kept.network(network["name"]) is None:
            return
        users = _users(kept, network)
        if users and not all(records.alive(one) for one in users):
            sweep(kept)
            users = _users(kept, network)
        if users:
            raise RuntimeFailure(
                "network %s is in use by %s" % (network["name"], ", ".join(one["name"] for one in users)),
                "stop these containers first",
            )
        with Netlink() as netlink:
            bridge.remove(network, netlink)
        kept.remove_network(network["name"])
        forwarding.apply(kept)


def _users(kept, network):
    return [one for one in kept.containers() if network["name"] in one["networks"]]


def users(kept: records.Records, network: dict) -> list:
    """The records of the living containers on a network."""
    return [one for one in _users(kept, network) if records.alive(one)]
