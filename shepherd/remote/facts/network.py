"""Network interfaces, their addresses, and where the default routes go."""

import _socket
import os

from shepherd.remote.facts import files
from shepherd.remote.facts.netlink import AF_INET, AF_INET6, Netlink

DIRECTORY = "/sys/class/net/"
PROMISCUOUS = 0x100  # IFF_PROMISC, netdevice(7)
# ARPHRD_*, linux/if_arp.h
TYPES = {"1": "ether", "32": "infiniband", "512": "ppp", "772": "loopback", "65534": "tunnel"}
# Addresses far away, only asked for the way there: nothing is sent. Any default route is good for them.
FAR = {AF_INET: "8.8.8.8", AF_INET6: "2404:6800:400a:800::1012"}


def collect(_):
    names = [name for name in files.listing(DIRECTORY) if os.path.isdir(DIRECTORY + name)]
    interfaces = {name: _interface(name) for name in names}
    try:
        netlink = Netlink()
    except OSError:
        return _facts(interfaces, {}, {}, {})
    try:
        numbers = {}
        for number, name in _socket.if_nameindex():
            numbers[number] = name
        for address in netlink.addresses():
            _add(interfaces, address, numbers.get(address.index))
        default = {family: _default(netlink.route(family, FAR[family]), numbers, interfaces, family) for family in FAR}
        local = {"ipv4": list(netlink.local(AF_INET)), "ipv6": list(netlink.local(AF_INET6))}
    finally:
        netlink.close()
    return _facts(interfaces, default[AF_INET], default[AF_INET6], local)


def _facts(interfaces, default_ipv4, default_ipv6, local):
    facts = {
        "interfaces": list(interfaces),
        "default_ipv4": default_ipv4,
        "default_ipv6": default_ipv6,
        "all_ipv4_addresses": [],
        "all_ipv6_addresses": [],
        "locally_reachable_ips": local,
    }
    for name, interface in interfaces.items():
        facts[name.replace("-", "_")] = interface
        first = [interface["ipv4"]] if "ipv4" in interface else []
        for address in first + interface.get("ipv4_secondaries", []):
            if not address["address"].startswith("127."):
                facts["all_ipv4_addresses"].append(address["address"])
        for address in interface.get("ipv6", []):
            if address["address"] != "::1":
                facts["all_ipv6_addresses"].append(address["address"])
    return facts


def _interface(name):
    directory = DIRECTORY + name + "/"

    def read(field):
        return files.text(directory + field)

    found = {"device": name, "type": "unknown"}
    address = read("address")
    if address and address != "00:00:00:00:00:00":
        found["macaddress"] = address
    mtu = read("mtu")
    if mtu:
        found["mtu"] = int(mtu)
    state = read("operstate")
    if state:
        found["active"] = state != "down"
    module = files.link(directory + "device/driver/module")
    if module:
        found["module"] = os.path.basename(module)
    found["type"] = TYPES.get(read("type"), "unknown")
    if os.path.isdir(directory + "bridge"):
        found["type"] = "bridge"
        found["interfaces"] = files.listing(directory + "brif")
        found["id"] = read("bridge/bridge_id") or ""
        found["stp"] = read("bridge/stp_state") == "1"
    if os.path.isdir(directory + "bonding"):
        _bonding(found, read)
    if os.path.isdir(directory + "bonding_slave"):
        found["perm_macaddress"] = read("bonding_slave/perm_hwaddr") or ""
    device = files.link(directory + "device")
    if device:
        found["pciid"] = os.path.basename(device)
    speed = read("speed")
    if speed:
        found["speed"] = int(speed)
    flags = read("flags")
    found["promisc"] = bool(flags and int(flags, 16) & PROMISCUOUS)
    return found


def _bonding(found, read):
    found["type"] = "bonding"
    found["slaves"] = (read("bonding/slaves") or "").split()
    found["mode"] = (read("bonding/mode") or "").split(" ")[0]
    found["miimon"] = (read("bonding/miimon") or "").split(" ")[0]
    found["lacp_rate"] = (read("bonding/lacp_rate") or "").split(" ")[0]
    primary = read("bonding/primary")
    if primary:
        found["primary"] = primary
        found["all_slaves_active"] = read("bonding/all_slaves_active") == "1"


def _add(interfaces, address, name):
    """Note an address at its interface. One with a label has a kind of interface of its own."""
    if address.family == AF_INET6:
        entry = {"address": address.address, "prefix": str(address.prefix), "scope": address.scope}
        interfaces.setdefault(name, {}).setdefault("ipv6", []).append(entry)
        return
    prefix = 32 if address.peer else address.prefix
    bits = 0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF
    number = int.from_bytes(_socket.inet_aton(address.address), "big")
    entry = {
        "address": address.address,
        "broadcast": address.broadcast,
        "netmask": _dotted(bits),
        "network": _dotted(number & bits),
        "prefix": str(prefix),
    }
    if address.label and address.label != name:
        interfaces.setdefault(address.label.replace(":", "_"), {})["ipv4"] = entry
        return
    interface = interfaces.setdefault(name, {})
    if "ipv4" in interface:
        interface.setdefault("ipv4_secondaries", []).append(entry)
    else:
        interface["ipv4"] = entry


def _dotted(number):
    return _socket.inet_ntoa(number.to_bytes(4, "big"))


def _default(route, numbers, interfaces, family):
    """What the default route leads through."""
    if route is None or route.index not in numbers:
        return {}
    name = numbers[route.index]
    interface = interfaces.get(name, {})
    found = {"interface": name}
    if route.source:
        found["address"] = route.source
    if route.gateway:
        found["gateway"] = route.gateway
    if family == AF_INET:
        entries = [interface.get("ipv4")] + interface.get("ipv4_secondaries", [])
        found["alias"] = name
    else:
        entries = interface.get("ipv6", [])
    for entry in entries:
        if entry and entry["address"] == route.source:
            found.update(entry)
    for field in ("macaddress", "mtu", "type"):
        if field in interface:
            found[field] = interface[field]
    return found
