"""What a container asks of networks, checked before anything is made."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace
from shepherd.runtime.network import addresses, apart, names, networks, records
from shepherd.runtime.network.ports import parse_ports


class Mode:
    """What `network` asks for: `kind` is "none", "host", "container" or "bridge"."""

    def __init__(self, options: dict):
        asked = options.get("network")
        if asked is None or asked == "":  # an empty list is no network at all, all of them were disconnected
            asked = networks.DEFAULT
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


def hostname_of(container_id: str, options: dict) -> str:
    """The name that a container has for itself: what was asked for, or the beginning of its id."""
    return names.check(options.get("hostname") or container_id[:12], "hostname")


def check(kept: records.Records, mode: Mode, name: str, options: dict) -> list:
    """The records of the networks that are asked for; all that can be refused is refused here (RuntimeFailure)."""
    wanted = parse_ports(options.get("ports") or [])
    names.parse_hosts(options.get("add_hosts") or [])
    for word in [name] + list(options.get("aliases") or []):
        names.check(word, "name")
    names.check(options.get("hostname") or "x", "hostname")
    if mode.kind == "container":
        for key, word in (("ports", "-p"), ("dns", "--dns"), ("add_hosts", "--add-host"), ("hostname", "--hostname")):
            if options.get(key):
                raise RuntimeFailure("%s has no meaning with --network container:ID" % word, "say it of that container")
    if options.get("front"):
        records.check_name(options["front"], "a front")
        if mode.kind != "bridge" or user_namespace.of_user():
            raise RuntimeFailure("--front: there are no ports to share", "it goes with networks that root has made")
    if user_namespace.of_user():
        apart.check(mode, options)
        if wanted and mode.kind == "none":
            raise RuntimeFailure("a port is published, and the container has no network to receive it in")
        return []
    found = [networks.find(kept, one) for one in mode.networks]
    if len({one["id"] for one in found}) != len(found):
        raise RuntimeFailure("a network is named twice")
    if wanted and (mode.kind == "none" or (mode.kind == "bridge" and all(one["internal"] for one in found))):
        raise RuntimeFailure("a port is published, and the container has no network that leads outside")
    if options.get("front") and wanted and any(map(networks.is_translated, found)):
        raise RuntimeFailure("--front: what the kernel translates (shepherd.publish=nat) is one container's")
    if options.get("aliases") and mode.networks in ([], [networks.DEFAULT]):
        raise RuntimeFailure("--network-alias needs a network that was made with `network create`")
    if (options.get("ip") or options.get("ip6")) and mode.kind != "bridge":
        raise RuntimeFailure("--ip needs a network of containers")
    for number, one in enumerate(found):
        _check_given(given_for(options, one["name"], number == 0), one)
    if options.get("mac"):
        hardware_of(options["mac"])
    return found


def _check_given(given, network):
    for text in (given[key] for key in ("ip", "ip6") if given.get(key)):
        check_address(network, text)
    for word in given.get("aliases") or []:
        names.check(word, "name")


def check_address(network: dict, text: str) -> None:
    """Raise RuntimeFailure where no container on that network can have the address."""
    family, number = addresses.parse(text)
    entry = networks.subnet(network, family)
    subnet = None if entry is None else addresses.Subnet.parse(entry["subnet"])
    if subnet is None or (family, number) not in subnet or number - subnet.base not in subnet.usable():
        raise RuntimeFailure("%s is no address of network %s" % (text, network["name"]))
    if addresses.canonical(text) == entry["gateway"]:
        raise RuntimeFailure("%s is no address for a container: it is the gateway of %s" % (text, network["name"]))


def given_for(options: dict, network: str, first: bool) -> dict:
    """What the options say of one network: "aliases", "ip", "ip6" and "mac", as far as they say it."""
    connected = options.get("connected") or {}
    if network in connected:
        return connected[network]
    names = ("ip", "ip6", "mac", "aliases") if first else ("aliases",)
    return {name: options[name] for name in names if options.get(name)}


def hardware_of(text: str) -> bytes:
    """Six bytes of `02:42:…`, of one interface and not of a group of them."""
    parts = text.replace("-", ":").split(":")
    try:
        value = bytes.fromhex("".join(part for part in parts if len(part) == 2))
    except ValueError:
        value = b""
    if len(parts) != 6 or len(value) != 6 or value[0] & 1 or value == b"\0" * 6:
        raise RuntimeFailure("%s is no address of an interface" % ascii(text)[:80], "such as 02:42:0a:00:00:02")
    return value


def other(kept: records.Records, text: str) -> dict:
    """The record of a living container by its id, its name or the beginning of its id."""
    found = [one for one in kept.containers() if text and (one["container"] == text or one["name"] == text)]
    found = found or [one for one in kept.containers() if text and one["container"].startswith(text)]
    if len(found) != 1:
        raise RuntimeFailure("no such container: %s" % ascii(text)[:140])
    if not records.alive(found[0]):
        raise RuntimeFailure("container %s is not running" % found[0]["name"], "its network can be joined while it is")
    return found[0]
