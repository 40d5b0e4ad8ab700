"""Plugging containers in: what the rest of the runtime calls.

    plan     before `create`: the namespace, and the files that will be mounted
    attach   between `create` and `start`, while the container's first process waits
    detach   when it has ended
    sweep    for those whose end nobody saw

Options, all of which may be left out: "network" ("bridge", "none", "host", "container:ID" or a list of networks'
names), "ports" (words of `-p`), "aliases", "hostname", "add_hosts", "dns", "dns_search", "dns_options"; "ip", "ip6" and
"mac" on the first network; "read_only": the files cannot be written to.
"""

import os
import time

from shepherd.runtime.bundle import state
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import addresses, forwarding, leases, names, networks, records
from shepherd.runtime.network.ports import Port, parse_ports


class Mode:
    """What `network` asks for: `kind` is "none", "host", "container" or "bridge"."""

    def __init__(self, options: dict):
        asked = options.get("network") or networks.DEFAULT
        self.container = None
        self.networks = []
        if isinstance(asked, str) and asked.startswith("container:"):
            self.kind, self.container = "container", asked[len("container:") :]
        elif asked in ("none", "host", ["none"], ["host"]):
            self.kind = asked if isinstance(asked, str) else asked[0]
        else:
            self.kind = "bridge"
            self.networks = [asked] if isinstance(asked, str) else list(asked)
            self.networks = [networks.DEFAULT if name == "default" else name for name in self.networks]
            if any(name in ("none", "host") or str(name).startswith("container:") for name in self.networks):
                raise RuntimeFailure("none, host and container:ID go with no other network")
            if len(set(self.networks)) != len(self.networks):
                raise RuntimeFailure("a network is named twice")


def plan(container_id: str, name: str, options: dict, folder: str) -> dict:
    """{"namespace": "new", "host" or a path; "mounts": OCI mounts}. Nothing is made but files in `folder`.

    `folder` is the container's own. Raises RuntimeFailure for anything in the options that cannot be.
    """
    records.check_name(container_id, "a container")
    mode = Mode(options)
    kept = records.Records()
    _check(kept, mode, name, options)
    if mode.kind == "container":
        other = _other(kept, mode.container)
        mounts = names.mounts(other["folder"], options.get("read_only", False))
        return {"namespace": "/proc/%d/ns/net" % other["pid"], "mounts": mounts}
    shared = mode.kind == "host"
    hostname = os.uname().nodename if shared and not options.get("hostname") else _hostname(container_id, options)
    texts = {
        "hosts": names.hosts(names.parse_hosts(options.get("add_hosts") or []), [("127.0.0.1", [hostname])]),
        "resolv.conf": names.resolver(options, shared),
        "hostname": hostname + "\n",
    }
    if shared:
        added = [one for one in names.parse_hosts(options.get("add_hosts") or []) if one[1] != "host-gateway"]
        texts["hosts"] = names.host_file("hosts") + "".join("%s\t%s\n" % (address, word) for word, address in added)
    for file, text in texts.items():
        names.write(folder, file, text)
    namespace = "host" if shared else "new"
    return {"namespace": namespace, "mounts": names.mounts(folder, options.get("read_only", False))}


def _hostname(container_id, options):
    return names.check(options.get("hostname") or container_id[:12], "hostname")


def _check(kept, mode, name, options):
    """All that can be refused before anything is made."""
    wanted = parse_ports(options.get("ports") or [])
    names.parse_hosts(options.get("add_hosts") or [])
    for word in [name] + list(options.get("aliases") or []):
        names.check(word, "name")
    names.check(options.get("hostname") or "x", "hostname")
    if mode.kind == "container":
        for key, word in (("ports", "-p"), ("dns", "--dns"), ("add_hosts", "--add-host"), ("hostname", "--hostname")):
            if options.get(key):
                raise RuntimeFailure("%s has no meaning with --network container:ID" % word, "say it of that container")
    found = [networks.find(kept, one) for one in mode.networks]
    if len({one["id"] for one in found}) != len(found):
        raise RuntimeFailure("a network is named twice")
    if wanted and (mode.kind == "none" or (found and all(one["internal"] for one in found))):
        raise RuntimeFailure("a port is published, and the container has no network that leads outside")
    if options.get("aliases") and mode.networks in ([], [networks.DEFAULT]):
        raise RuntimeFailure("--network-alias needs a network that was made with `network create`")
    asked = [options[key] for key in ("ip", "ip6") if options.get(key)]
    if asked and mode.kind != "bridge":
        raise RuntimeFailure("--ip needs a network of containers")
    for text in asked:
        family = addresses.parse(text)[0]
        entry = networks.subnet(found[0], family)
        if entry is None or addresses.parse(text) not in addresses.Subnet.parse(entry["subnet"]):
            raise RuntimeFailure("%s is no address of network %s" % (text, found[0]["name"]))
    if options.get("mac"):
        _hardware(options["mac"])
    return found


def _hardware(text):
    """Six bytes of `02:42:…`, of one interface and not of a group of them."""
    parts = text.replace("-", ":").split(":")
    try:
        value = bytes.fromhex("".join(part for part in parts if len(part) == 2))
    except ValueError:
        value = b""
    if len(parts) != 6 or len(value) != 6 or value[0] & 1 or value == b"\0" * 6:
        raise RuntimeFailure("%s is no address of an interface" % ascii(text)[:80], "such as 02:42:0a:00:00:02")
    return value


def _other(kept, text):
    """The record of a living container by its id, its name or the beginning of its id."""
    found = [one for one in kept.containers() if text and (one["container"] == text or one["name"] == text)]
    found = found or [one for one in kept.containers() if text and one["container"].startswith(text)]
    if len(found) != 1:
        raise RuntimeFailure("no such container: %s" % ascii(text)[:140])
    if not records.alive(found[0]):
        raise RuntimeFailure("container %s is not running" % found[0]["name"], "its network can be joined while it is")
    return found[0]


def attach(container_id: str, name: str, pid: int, options: dict, folder: str) -> dict:
    """Plug the container in whose first process is `pid`: {"networks": {name: {"address", …}}, "ports": […]}.

    Raises RuntimeFailure, and nothing is left then. What an earlier run of the container left goes first.
    """
    records.check_name(container_id, "a container")
    mode = Mode(options)
    kept = records.Records()
    found = _check(kept, mode, name, options)
    record = {
        "container": container_id,
        "name": name,
        "folder": os.path.abspath(folder),
        "mode": mode.kind,
        "hostname": _hostname(container_id, options),
        "add_hosts": list(options.get("add_hosts") or []),
        "networks": {},
        "ports": [],
        "forwarder": None,
    }
    record.update(records.process(pid))
    if mode.kind == "container":
        record["folder"] = _other(kept, mode.container)["folder"]
    with kept.lock():
        _release(kept, container_id)
        try:
            if mode.kind in ("host", "container"):
                kept.save_container(record)
            else:
                _plug_in(kept, record, found, options)
        except BaseException as error:
            _release(kept, container_id)
            if isinstance(error, OSError):
                raise RuntimeFailure("cannot connect container %s: %s" % (name, error)) from None
            raise
    return {"networks": record["networks"], "ports": record["ports"]}


def _plug_in(kept, record, found, options):
    from shepherd.runtime.linux.netlink import Netlink
    from shepherd.runtime.network import bridge

    namespace = os.open("/proc/%d/ns/net" % record["pid"], os.O_RDONLY | os.O_CLOEXEC)
    try:
        if state.start_time(record["pid"]) != record["began"]:
            raise RuntimeFailure("process %d has ended" % record["pid"])
        if os.fstat(namespace).st_ino == os.stat("/proc/thread-self/ns/net").st_ino:
            raise RuntimeFailure("process %d is in the network namespace of the host" % record["pid"])
        with Netlink() as netlink, Netlink(namespace) as inside:
            bridge.prepare(namespace, inside)
            plugs = [_plug(kept, one, number, options) for number, one in enumerate(found)]
            for plug in plugs:
                record["networks"][plug.record["name"]] = plug.shown
            kept.save_container(record)  # from here on it can be found and undone
            for plug in plugs:
                for address in (plug.shown["address"], plug.shown.get("address6")):
                    if address:
                        kept.lease(plug.record["name"], address, record["container"])
            if plugs:
                forwarding.apply(kept)
            way_out = next((plug for plug in plugs if not plug.record["internal"]), None)
            for plug in plugs:
                index = bridge.ensure(kept, plug.record, netlink)
                plug.connect(namespace, index, netlink, inside, plug is way_out)
    finally:
        os.close(namespace)
    wanted = parse_ports(options.get("ports") or [])
    if wanted:
        _publish(kept, record, wanted)
    _write_names(kept, record, found, {record["container"]: record})


def _plug(kept, network, number, options):
    from shepherd.runtime.network import bridge

    asked = [options[key] for key in ("ip", "ip6") if options.get(key)] if number == 0 else []
    chosen = leases.choose(kept, network, asked, lambda: _sweep(kept))
    hardware = _hardware(options["mac"]) if options.get("mac") and number == 0 else None
    known = list(options.get("aliases") or []) if network["name"] != networks.DEFAULT else []
    return bridge.Plug(network, "eth%d" % number, chosen, hardware, known)


def _publish(kept, record, wanted):
    """Take the ports on the host and start the process that serves them."""
    from shepherd.runtime.network import forwarder

    target = _target(kept, record)
    listeners = []
    try:
        for port in wanted:
            opened, number = forwarder.bind(port)
            listeners.append((opened, port.protocol, port.container))
            shown = {"address": port.address, "host": number, "container": port.container, "protocol": port.protocol}
            record["ports"].append(shown)
        process = forwarder.start(listeners, target, record)
    except BaseException:
        for opened, _protocol, _number in listeners:
            opened.close()
        raise
    record["forwarder"] = records.process(process)
    kept.save_container(record)
    if any(_translates(kept, name) for name in record["networks"]):
        forwarding.apply(kept)


def _translates(kept, name):
    network = kept.network(name)
    return network is not None and networks.option(network, "publish", "forwarder") == "nat"


def _target(kept, record):
    for name, shown in record["networks"].items():
        network = kept.network(name)
        if network is not None and not network["internal"]:
            return shown["address"]
    raise RuntimeFailure("container %s has no network that leads outside" % record["name"])


def _write_names(kept, record, found, known):
    """The hosts files of a container and of all that share a network with it. `known`: records that were read."""
    touched = {record["container"]: record} if os.path.isdir(record["folder"]) else {}
    for network in found:
        if network["name"] == networks.DEFAULT:
            continue
        for identity in {kept.holder(network["name"], address) for address in kept.leases(network["name"])} - {""}:
            if identity not in known:
                known[identity] = kept.container(identity)
            if known[identity] is not None:
                touched[identity] = known[identity]
    for one in touched.values():
        _write_hosts(kept, one, known)


def _write_hosts(kept, record, known):
    lines = []
    gateway = None
    for name, shown in record["networks"].items():
        gateway = gateway or shown["gateway"]
        own = [record["hostname"]]
        if name != networks.DEFAULT:
            own += _names(record, shown)
        lines += _lines(shown, own)
    for name in record["networks"]:
        if name == networks.DEFAULT:
            continue
        for identity in sorted(
            {kept.holder(name, address) for address in kept.leases(name)} - {"", record["container"]}
        ):
            if identity not in known:
                known[identity] = kept.container(identity)
            other = known[identity]
            if other is not None and name in other["networks"]:
                lines += _lines(other["networks"][name], _names(other, other["networks"][name]))
    if not record["networks"]:
        lines.append(("127.0.0.1", [record["hostname"]]))
    try:
        names.write(record["folder"], "hosts", names.hosts(names.parse_hosts(record["add_hosts"]), lines, gateway))
    except OSError:
        pass  # its folder is gone, and so is it


def _names(record, shown):
    return [record["name"]] + shown["aliases"] + [record["container"][:12]]


def _lines(shown, words):
    return [(shown[key], words) for key in ("address", "address6") if shown.get(key)]


def detach(container_id: str) -> None:
    """Take away what `attach` made. Nothing happens where that is gone already."""
    kept = records.Records()
    if kept.container(container_id) is None:
        return
    with kept.lock():
        _release(kept, container_id)


def _release(kept, container_id):
    """With the lock: free all that the container's record names, its record last."""
    record = kept.container(container_id)
    if record is None:
        return
    if record["forwarder"]:
        _end(record["forwarder"])
    found = []
    if record["networks"]:
        from shepherd.runtime.linux.netlink import Netlink
        from shepherd.runtime.network import bridge

        with Netlink() as netlink:
            for name, shown in record["networks"].items():
                network = kept.network(name)
                if network is not None and network["id"] != shown["network"]:
                    network = None  # another one of that name by now
                bridge.unplug(network, shown, netlink)
                if network is not None:
                    found.append(network)
                    for address in (shown["address"], shown.get("address6")):
                        if address:
                            kept.free(name, address, container_id)
    kept.remove_container(container_id)
    if any(networks.option(one, "publish", "forwarder") == "nat" for one in found):
        forwarding.apply(kept)
    gone = dict(record, folder="")
    _write_names(kept, gone, found, {container_id: None})


def _end(process):
    """End the forwarder, and wait for that: its ports are to be free."""
    if not records.alive(process):
        return
    state.kill_process(process)
    deadline = time.monotonic() + 5
    while state.alive(process) and time.monotonic() < deadline:
        time.sleep(0.001)


def sweep() -> None:
    """Free what dead containers left, and bring back the forwarder of a living one."""
    kept = records.Records()
    with kept.lock():
        _sweep(kept)
        for record in kept.containers():
            if record["ports"] and not (record["forwarder"] and records.alive(record["forwarder"])):
                _publish_again(kept, record)
        if kept.networks():
            forwarding.apply(kept)


def _sweep(kept):
    kept.clear()
    known = set()
    for record in kept.containers():
        if records.alive(record):
            known.add(record["container"])
        else:
            _release(kept, record["container"])
    for network in kept.networks():
        for address in kept.leases(network["name"]):
            if kept.holder(network["name"], address) not in known:
                kept.free(network["name"], address, kept.holder(network["name"], address))


def _publish_again(kept, record):
    wanted = [
        Port(one["address"], one["host"], one["host"], one["container"], one["protocol"]) for one in record["ports"]
    ]
    before, record["ports"] = record["ports"], []
    try:
        _publish(kept, record, wanted)
    except RuntimeFailure:
        record["ports"] = before  # somebody has the port now: the next sweep tries again


def remove_network(kept: records.Records, network: dict) -> None:
    """Take a network away. Raises RuntimeFailure while containers are on it."""
    from shepherd.runtime.linux.netlink import Netlink
    from shepherd.runtime.network import bridge

    with kept.lock():
        if kept.network(network["name"]) is None:
            return
        users = _users(kept, network)
        if users and not all(records.alive(one) for one in users):
            _sweep(kept)
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
