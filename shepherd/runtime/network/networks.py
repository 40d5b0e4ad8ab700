"""Networks: what may be asked of one, which subnet it gets, and what is shown of it in Docker's words.

A network's record:
    id, name, created, driver ("bridge"), internal, labels, options
    bridge, hardware     the interface on the host, and its address on the wire in hexadecimal digits
    subnets              one of IPv4 and perhaps one of IPv6: {"subnet", "gateway", "range" or None}
"""

import os
import time

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace
from shepherd.runtime.network import addresses, records
from shepherd.runtime.network.addresses import INET, INET6, Subnet

DEFAULT = "bridge"
RESERVED = ("none", "host", "default", "container")
# where subnets are taken from: the default network's, then those of the others, each with the length of their prefixes
POOL_DEFAULT = ("10.209.0.0/16", 16)
POOLS = (("10.210.0.0/15", 24), ("192.168.128.0/17", 24), ("172.24.0.0/13", 24))

_PREFIX = "com.docker.network.bridge."
_SWITCH = ("true", "false")
# option: its values, None where they are free. Docker's have Docker's meaning
OPTIONS = {
    _PREFIX + "name": None,
    _PREFIX + "enable_icc": _SWITCH,
    _PREFIX + "enable_ip_masquerade": _SWITCH,
    "com.docker.network.driver.mtu": None,
    "shepherd.publish": ("forwarder", "nat"),
    "shepherd.link_local": _SWITCH,
}


def option(record: dict, name: str, default: str) -> str:
    """What an option of a network says: the end of its name is enough."""
    for known in OPTIONS:
        if known == name or known.endswith("." + name):
            return record["options"].get(known, default)
    raise KeyError(name)


def is_translated(record: dict) -> bool:
    """Whether the kernel itself passes on what comes to ports that are published on it (shepherd.publish=nat)."""
    return not record["internal"] and option(record, "publish", "forwarder") == "nat"


def subnet(record: dict, family: int):
    """The network's entry in `subnets` of that family, or None."""
    for entry in record["subnets"]:
        if (":" in entry["subnet"]) == (family == INET6):
            return entry
    return None


class Wanted:
    """What `network create` asks for."""

    def __init__(self, name: str):
        self.name = name
        self.driver = "bridge"
        self.subnets = []
        self.gateways = []
        self.ranges = []
        self.ipv6 = False
        self.internal = False
        self.labels = {}
        self.options = {}


def create(kept: records.Records, wanted: Wanted) -> dict:
    """Make a network's record; its bridge is made for its first container. Raises RuntimeFailure."""
    records.check_name(wanted.name)
    if wanted.name in RESERVED:
        raise RuntimeFailure("network %s is there already, and is no bridge" % wanted.name)
    if wanted.driver != "bridge":
        raise RuntimeFailure("no such driver: %s" % ascii(wanted.driver)[:80], "there is bridge")
    _check_options(wanted.options)
    if user_namespace.of_user():
        raise RuntimeFailure("networks of several containers are made by root")
    with kept.lock():
        others = kept.networks()
        made = {
            "id": os.urandom(32).hex(),
            "name": wanted.name,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "driver": "bridge",
            "internal": bool(wanted.internal),
            "labels": dict(wanted.labels),
            "options": dict(wanted.options),
            "subnets": _subnets(wanted, others),
        }
        made["bridge"] = option(made, "name", "") or _bridge_name(made)
        made["hardware"] = (b"\x02\x42" + os.urandom(4)).hex()
        for other in others:
            if other["bridge"] == made["bridge"]:
                raise RuntimeFailure("interface %s is network %s's" % (made["bridge"], other["name"]))
        kept.add_network(made)
    return made


def default(kept: records.Records) -> dict:
    """The network `bridge`, made where it is not there."""
    found = kept.network(DEFAULT)
    if found is None:
        try:
            return create(kept, Wanted(DEFAULT))
        except RuntimeFailure:
            found = kept.network(DEFAULT)
            if found is None:
                raise
    return found


def find(kept: records.Records, text: str) -> dict:
    """A network by its name, its id or the beginning of that. Raises RuntimeFailure."""
    if text == DEFAULT:
        return default(kept)
    found = kept.network(records.check_name(text))
    if found is None:
        matching = [one for one in kept.networks() if one["id"].startswith(text)]
        found = matching[0] if len(matching) == 1 else None
    if found is None:
        raise RuntimeFailure("no such network: %s" % ascii(text)[:140], "shepherd-runtime network ls shows them")
    return found


def _check_options(options):
    for name, value in options.items():
        if name not in OPTIONS:
            raise RuntimeFailure("no such option of a network: %s" % ascii(name)[:80], "one of: " + ", ".join(OPTIONS))
        if OPTIONS[name] and value not in OPTIONS[name]:
            raise RuntimeFailure("%s: should be %s" % (name, " or ".join(OPTIONS[name])))
    try:
        small = addresses.number_of(options.get("com.docker.network.driver.mtu", "1500"), 65535) < 68
    except ValueError:
        small = True
    if small:
        raise RuntimeFailure("com.docker.network.driver.mtu: should be a number of bytes from 68 to 65535")
    if _PREFIX + "name" in options:
        name = records.check_name(options[_PREFIX + "name"], "an interface")
        if len(name) > 15:
            raise RuntimeFailure("%s: the name of an interface has at most 15 letters" % name)


def _bridge_name(record):
    if record["name"] == DEFAULT:
        from shepherd.runtime.linux.netlink import Netlink

        with Netlink() as netlink:
            if netlink.link("shepherd0") is None:  # there may be another state's
                return "shepherd0"
    return "shp-" + record["id"][:11]


def _subnets(wanted, others):
    """The entries of a new network. Raises RuntimeFailure for what does not fit together."""
    asked = [Subnet.parse(text) for text in wanted.subnets]
    families = [one.family for one in asked]
    if len(set(families)) != len(families):
        raise RuntimeFailure("a network has one subnet of IPv4 and one of IPv6")
    if INET6 in families and not wanted.ipv6:
        raise RuntimeFailure("%s is a subnet of IPv6" % asked[families.index(INET6)], "ask for --ipv6 as well")
    taken = [(Subnet.parse(entry["subnet"]), one["name"]) for one in others for entry in one["subnets"]]
    for one in asked:
        for other, name in taken:
            if one.overlaps(other):
                raise RuntimeFailure("subnet %s overlaps with %s of network %s" % (one, other, name))
        smallest = 30 if one.family == INET else 126
        if one.prefix > smallest:
            raise RuntimeFailure("subnet %s has no room for containers" % one)
        for other in _machine(routes=False):  # a route to more than this is no harm: the closer one counts
            if one.overlaps(other):
                raise RuntimeFailure("subnet %s overlaps with %s, in which this machine has an address" % (one, other))
    if INET not in families:
        asked.insert(0, _free_subnet(wanted.name, [one for one, _ in taken]))
    if wanted.ipv6 and INET6 not in families:
        local = int.from_bytes(b"\xfd" + os.urandom(7), "big") << 64  # RFC 4193: fd00::/8 and 40 bits by chance
        asked.append(Subnet(INET6, local, 64))
    asked.sort(key=lambda one: one.family)
    gateways = _belonging("--gateway", wanted.gateways, asked, addresses.parse)
    ranges = _belonging("--ip-range", wanted.ranges, asked, lambda text: _first(Subnet.parse(text)))
    entries = []
    for one in asked:
        gateway = addresses.canonical(gateways[one]) if one in gateways else one.address(1)
        number = addresses.parse(gateway)[1] - one.base
        if one in gateways and number not in one.usable():
            raise RuntimeFailure("--gateway: %s is no address of a host in %s" % (gateway, one))
        if one in ranges and Subnet.parse(ranges[one]).prefix < one.prefix:
            raise RuntimeFailure("--ip-range: %s is larger than %s" % (ranges[one], one))
        entries.append({"subnet": str(one), "gateway": gateway, "range": ranges.get(one)})
    return entries


def _first(one):
    return one.family, one.base


def _belonging(name, texts, subnets, parse):
    """The texts by the subnet that their address is in."""
    found = {}
    for text in texts:
        address = parse(text)
        into = [one for one in subnets if address in one]
        if not into:
            raise RuntimeFailure("%s: %s is not in %s" % (name, text, " or ".join(map(str, subnets))))
        if into[0] in found:
            raise RuntimeFailure("%s is given twice for %s" % (name, into[0]))
        found[into[0]] = text
    return found


def _machine(routes):
    """IPv4 subnets that this machine's addresses are in, and those that its routes lead to."""
    from shepherd.runtime.linux.netlink import Netlink

    with Netlink() as netlink:
        found = netlink.networks() if routes else netlink.addresses()
    return [Subnet(INET, addresses.parse(address)[1], prefix) for address, prefix in found if prefix]


def _free_subnet(name, taken):
    """An IPv4 subnet that no network of ours and no address or route of this machine has."""
    taken += _machine(routes=True)
    for pool, length in ((POOL_DEFAULT,) if name == DEFAULT else ()) + POOLS:
        whole = Subnet.parse(pool)
        step = 1 << (32 - length)
        for base in range(whole.base, whole.base + whole.size, step):
            one = Subnet(INET, base, length)
            if not any(one.overlaps(other) for other in taken):
                return one
    raise RuntimeFailure("no subnet is free", "say which one with --subnet, or remove networks that are not used")
