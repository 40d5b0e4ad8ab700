"""Plugging containers in: what the rest of the runtime calls.

    plan     before `create`: the namespace, and the files that will be mounted
    attach   between `create` and `start`, while the container's first process waits
    detach   when it has ended
    sweep    for those whose end nobody saw

Options, all of which may be left out: "network" ("bridge", "none", "host", "container:ID" or a list of networks'
names), "ports" (words of `-p`), "front" (with whom it shares those that are named; "held": it gets no connections yet,
"checked": it is ill until `set_ill` says something else), "aliases", "hostname", "add_hosts", "dns", "dns_search",
"dns_options"; "ip", "ip6" and "mac" on the first network; "connected": for each network that was named by `network
connect`, or beside one, its own "aliases", "ip", "ip6" and "mac"; "read_only": the files cannot be written to.
"""

import os

from shepherd.runtime.bundle import state
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace
from shepherd.runtime.network import (
    apart,
    forwarding,
    front,
    hosts,
    joining,
    leases,
    names,
    networks,
    publish,
    records,
    release,
    resolvers,
)
from shepherd.runtime.network.ports import parse_ports


def plan(container_id: str, name: str, options: dict, folder: str) -> dict:
    """{"namespace": "new", "host" or a path; "mounts": OCI mounts}. Nothing is made but files in `folder`.

    `folder` is the container's own. Raises RuntimeFailure for anything in the options that cannot be.
    """
    records.check_name(container_id, "a container")
    mode = joining.Mode(options)
    kept = records.Records()
    outside = any(not one["internal"] for one in joining.check(kept, mode, name, options))
    if mode.kind == "container":
        other = joining.other(kept, mode.container)
        mounts = names.mounts(other["folder"], options.get("read_only", False))
        return {"namespace": "/proc/%d/ns/net" % other["pid"], "mounts": mounts}
    shared = mode.kind == "host"
    hostname = joining.hostname_of(container_id, options)
    added = names.parse_hosts(options.get("add_hosts") or [])
    hosts_text = names.hosts(added, [("127.0.0.1", [hostname])])
    if shared:
        hostname = options.get("hostname") or os.uname().nodename
        lines = ["%s\t%s\n" % (address, word) for word, address in added if address != "host-gateway"]
        hosts_text = names.host_file("hosts") + "".join(lines)
    texts = {
        "hosts": hosts_text,
        "resolv.conf": resolvers.text_of(options, shared, outside),
        "hostname": hostname + "\n",
    }
    try:
        for file, text in texts.items():
            names.write(folder, file, text)
    except OSError as error:
        raise RuntimeFailure("cannot write the names of container %s: %s" % (name, error)) from None
    namespace = "host" if shared else "new"
    return {"namespace": namespace, "mounts": names.mounts(folder, options.get("read_only", False))}


def attach(container_id: str, name: str, pid: int, options: dict, folder: str) -> dict:
    """Plug the container in whose first process is `pid`.

    {"networks": {name: {"address", …}}, "ports": […], "serving": the processes that serve those, as `serving` has them}

    Raises RuntimeFailure, and nothing is left then. What an earlier run of the container left goes first.
    """
    records.check_name(container_id, "a container")
    mode = joining.Mode(options)
    kept = records.Records()
    found = joining.check(kept, mode, name, options)
    record = {
        "container": container_id,
        "name": name,
        "folder": os.path.abspath(folder),
        "mode": mode.kind,
        "hostname": joining.hostname_of(container_id, options),
        "add_hosts": list(options.get("add_hosts") or []),
        "networks": {},
        "ports": [],
        "relay": "",
        "forwarder": None,
        "front": options.get("front") or "",
        "held": bool(options.get("held")),
        "ill": bool(options.get("checked")),
    }
    record.update(records.process(pid))
    if mode.kind == "container":
        record["folder"] = joining.other(kept, mode.container)["folder"]
    with kept.lock():
        release.release(kept, container_id)
        for one in found:
            if (kept.network(one["name"]) or {}).get("id") != one["id"]:
                raise RuntimeFailure("network %s was removed meanwhile" % one["name"])
        try:
            if mode.kind in ("host", "container"):
                kept.save_container(record)
            else:
                _plug_in(kept, record, found, options)
        except BaseException as error:
            release.release(kept, container_id)
            if isinstance(error, OSError):
                raise RuntimeFailure("cannot connect container %s: %s" % (name, error)) from None
            raise
    if record["networks"]:
        from shepherd.runtime.network import activation

        activation.wait(pid, record["networks"].values(), found)
    return {"networks": record["networks"], "ports": record["ports"], "serving": _serving(kept, record)}


def _plug_in(kept, record, found, options):
    from shepherd.runtime.linux.netlink import Netlink
    from shepherd.runtime.network import bridge

    namespace = os.open("/proc/%d/ns/net" % record["pid"], os.O_RDONLY | os.O_CLOEXEC)
    try:
        if state.start_time(record["pid"]) != record["began"]:
            raise RuntimeFailure("process %d has ended" % record["pid"])
        if user_namespace.of_user():
            apart.prepare(namespace)
            kept.save_container(record)  # from here on it can be found and undone
            publish.publish(kept, record, parse_ports(options.get("ports") or []))
            return
        if os.fstat(namespace).st_ino == os.stat("/proc/thread-self/ns/net").st_ino:
            raise RuntimeFailure("process %d is in the network namespace of the host" % record["pid"])
        with Netlink() as netlink, Netlink(namespace) as inside:
            bridge.prepare(namespace, inside)
            plugs = [plug(kept, one, number, options) for number, one in enumerate(found)]
            for one in plugs:
                record["networks"][one.record["name"]] = one.shown
            kept.save_container(record)  # from here on it can be found and undone
            for one in plugs:
                for address in (one.shown["address"], one.shown.get("address6")):
                    if address:
                        kept.lease(one.record["name"], address, record["container"])
            if plugs:
                forwarding.apply(kept)
            way_out = next((one for one in plugs if not one.record["internal"]), None)
            for one in plugs:
                index = bridge.ensure(kept, one.record, netlink)
                one.connect(namespace, index, netlink, inside, one is way_out)
    finally:
        os.close(namespace)
    if any(not one["internal"] for one in found):
        record["relay"] = resolvers.relayed(options)
    publish.publish(kept, record, parse_ports(options.get("ports") or []))
    neighbours = hosts.Neighbours(kept, {record["container"]: record})
    neighbours.write_one(record)
    neighbours.write(found)


def plug(kept, network: dict, number: int, options: dict):
    """A bridge.Plug for one of a container's networks, which becomes its `eth<number>`. Nothing is made."""
    from shepherd.runtime.network import bridge

    given = joining.given_for(options, network["name"], number == 0)
    asked = [given[key] for key in ("ip", "ip6") if given.get(key)]
    chosen = leases.choose(kept, network, asked, lambda: release.sweep(kept))
    hardware = joining.hardware_of(given["mac"]) if given.get("mac") else None
    known = list(given.get("aliases") or []) if network["name"] != networks.DEFAULT else []
    return bridge.Plug(network, "eth%d" % number, chosen, hardware, known)


def detach(container_id: str) -> None:
    """Take away what `attach` made. Nothing happens where that is gone already."""
    kept = records.Records()
    record = kept.container(container_id)
    if record is None:
        return
    if record["networks"]:
        release.unplug(record)  # which takes the kernel 20 ms: others need not wait for it
    with kept.lock():
        release.release(kept, container_id)


def sweep() -> None:
    """Free what dead containers left, and bring back the forwarder of a living one."""
    kept = records.Records()
    with kept.lock():
        release.sweep(kept)
        for record in kept.containers():
            if record["forwarder"] and not records.alive(record["forwarder"]):
                publish.publish_again(kept, record)
        for name in front.names(kept):
            try:
                front.apply(kept, name)
            except RuntimeFailure:
                continue  # somebody has a port now: the next sweep tries again
        if kept.networks():
            forwarding.apply(kept)


def serving(container_id: str) -> list:
    """The processes that serve a living container's ports, [{"pid", "began"}]; one that is gone is started again."""
    kept = records.Records()
    with kept.lock():
        record = kept.container(container_id)
        if record is None or not records.alive(record):
            return []
        if record["forwarder"] and not records.alive(record["forwarder"]):
            publish.publish_again(kept, record)
        if record.get("front"):
            front.apply(kept, record["front"])
        return _serving(kept, record)


def _serving(kept, record):
    found = [record["forwarder"], front.process(kept, record["front"]) if record.get("front") else None]
    return [{"pid": one["pid"], "began": one["began"]} for one in found if one]


def set_ill(container_id: str, is_ill) -> None:
    """Say how a container of a front is: `is_ill()` is asked when nobody else says anything."""
    kept = records.Records()
    with kept.lock():
        record = kept.container(container_id)
        if record is not None and record.get("front"):
            record["ill"] = bool(is_ill())
            kept.save_container(record)
            front.apply(kept, record["front"])


def switch(name: str, serve: dict, hold: dict) -> None:
    """Of a front: who is to have new connections from now on, and who is not, at once. {id: name of the container}

    Those that do not run are left out. Raises RuntimeFailure.
    """
    kept = records.Records()
    with kept.lock():
        touched = {}
        for held, group in ((False, serve), (True, hold)):
            for identity, called in group.items():
                record = kept.container(identity)
                if record is not None and record.get("front") == name:
                    record.update(held=held, name=called)
                    kept.save_container(record)
                    touched.update((one, kept.network(one)) for one in record["networks"])
        front.apply(kept, name)
        hosts.Neighbours(kept, {}).write([one for one in touched.values() if one is not None])


def sharing(name: str) -> list:
    """The records of the living containers of a front, by name."""
    return sorted(front.members(records.Records(), name), key=lambda one: one["name"])


def connections(name: str, dismiss=()) -> dict:
    """{id: how many connections} of the containers of a front, as its process has them.

    Before that, those of the ids in `dismiss` are ended that talk HTTP and have nothing under way.
    """
    request = b"dismiss " + " ".join(dismiss).encode("ascii") if dismiss else b"look"
    return (front.ask(records.Records(), name, request) or {"connections": {}})["connections"]
