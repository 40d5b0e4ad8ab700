"""A network on the host: its bridge, what the kernel may do with it, and a container's cable to it.

A container may send what it likes, so nothing here is learned from what it sends: the bridge is told where each
address on the wire is, the host and the containers are told which belongs to an IP address, and nobody listens to
router advertisements (CVE-2020-13401) or to packets that claim to be from 127.0.0.1.
"""

import errno
import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls
from shepherd.runtime.linux.netlink import Netlink
from shepherd.runtime.network import networks, records, rules

_SETTINGS = "/proc/sys/net"
# of an interface, on the host and in a container; a setting that the kernel does not have is left out
_STRICT = {
    "ipv4/conf/%s/route_localnet": "0",
    "ipv4/conf/%s/accept_redirects": "0",
    "ipv4/conf/%s/send_redirects": "0",
    "ipv6/conf/%s/accept_ra": "0",
    "ipv6/conf/%s/accept_redirects": "0",
    "ipv6/conf/%s/accept_dad": "0",
}
INSIDE = {
    "ipv4/ping_group_range": "0\t2147483647",  # ping without a raw socket
    "ipv4/ip_unprivileged_port_start": "0",  # nobody else's ports are here
    "ipv6/conf/all/accept_ra": "0",
    "ipv6/conf/default/accept_ra": "0",
}


def set_kernel(settings: dict, interface: str = "") -> None:
    """Write settings of /proc/sys/net of the namespace this thread is in."""
    for name, value in settings.items():
        path = os.path.join(_SETTINGS, name % interface if "%s" in name else name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENOENT:
                continue
            raise  # read-only, say: what is not safe is not connected
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)


def hardware_of(address: str) -> bytes:
    """The address on the wire of who has this IPv4 address: the same each time (02 says that nobody sold it)."""
    return b"\x02\x42" + bytes(int(part) for part in address.split("."))


def mtu_of(record: dict):
    """What the option says, or None."""
    text = networks.option(record, "mtu", "")
    return int(text) if text else None


def ensure(kept: records.Records, record: dict, netlink: Netlink) -> int:
    """The bridge's index: made where it is not there, set up again in any case. To be called with the lock."""
    name = record["bridge"]
    hardware = bytes.fromhex(record["hardware"])
    link = netlink.link(name)
    if link is None:
        netlink.add_bridge(name, hardware, mtu_of(record), up=False)
        link = netlink.link(name)
    elif link[1] != hardware:
        raise RuntimeFailure(
            "there is an interface %s that is not network %s's" % (name, record["name"]), "take it away, or rename it"
        )
    index = link[0]
    has_ipv6 = len(record["subnets"]) > 1
    settings = dict(_STRICT, **{"ipv4/conf/%s/rp_filter": "1"})
    settings["ipv6/conf/%s/disable_ipv6"] = "0" if has_ipv6 else "1"
    set_kernel(settings, name)
    for entry in record["subnets"]:
        try:
            netlink.add_address(index, entry["gateway"], int(entry["subnet"].partition("/")[2]))
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
    filtered = rules.backend(kept) is not None
    forwarding = "1" if filtered and not record["internal"] else "0"
    set_kernel({"ipv4/conf/%s/forwarding": forwarding, "ipv6/conf/%s/forwarding": forwarding}, name)
    netlink.set_up(index)
    return index


def remove(record: dict, netlink: Netlink) -> None:
    """Take the bridge away, if it is ours."""
    link = netlink.link(record["bridge"])
    if link is not None and link[1] == bytes.fromhex(record["hardware"]):
        netlink.delete(link[0])


class Plug:
    """One network for one container: what it is given, and how to make it so."""

    def __init__(self, record: dict, interface: str, addresses: dict, hardware, names: list):
        self.record = record
        ipv4 = networks.subnet(record, networks.INET)
        ipv6 = networks.subnet(record, networks.INET6)
        self.shown = {
            "network": record["id"],
            "endpoint": os.urandom(32).hex(),
            "interface": interface,
            "link": "veth" + os.urandom(5).hex(),
            "address": addresses[networks.INET],
            "prefix": int(ipv4["subnet"].partition("/")[2]),
            "gateway": "" if record["internal"] else ipv4["gateway"],
            "mac": ":".join("%02x" % byte for byte in hardware or hardware_of(addresses[networks.INET])),
            "aliases": names,
        }
        if ipv6 is not None:
            self.shown["address6"] = addresses[networks.INET6]
            self.shown["prefix6"] = int(ipv6["subnet"].partition("/")[2])
            self.shown["gateway6"] = "" if record["internal"] else ipv6["gateway"]

    def connect(self, namespace: int, index: int, netlink: Netlink, inside: Netlink, default: bool) -> None:
        """Lay the cable. `index`: the bridge's; `default`: the way out of the container is by this network."""
        shown, record = self.shown, self.record
        hardware = bytes.fromhex(shown["mac"].replace(":", ""))
        mtu = mtu_of(record)
        netlink.add_veth(shown["link"], index, shown["interface"], None, hardware, namespace=namespace, mtu=mtu)
        set_kernel({"ipv6/conf/%s/disable_ipv6": "1"}, shown["link"])
        isolated = networks.option(record, "enable_icc", "true") == "false"
        netlink.restrict_port(netlink.link(shown["link"])[0], hardware, isolated)
        theirs = inside.link(shown["interface"])[0]
        has_ipv6 = "address6" in shown
        with syscalls.inside(namespace, syscalls.CLONE_NEWNET):
            set_kernel(dict(_STRICT, **{"ipv6/conf/%s/disable_ipv6": "0" if has_ipv6 else "1"}), shown["interface"])
        inside.add_address(theirs, shown["address"], shown["prefix"])
        if has_ipv6:
            inside.add_address(theirs, shown["address6"], shown["prefix6"])
        inside.set_up(theirs)
        for entry, address in zip(record["subnets"], (shown["address"], shown.get("address6"))):
            netlink.add_neighbour(index, address, hardware)
            inside.add_neighbour(theirs, entry["gateway"], bytes.fromhex(record["hardware"]))
            if default and not record["internal"]:
                inside.add_default_route(entry["gateway"])


def prepare(namespace: int, inside: Netlink) -> None:
    """A network namespace of a container's own, before anything is plugged in: its loopback, its settings."""
    with syscalls.inside(namespace, syscalls.CLONE_NEWNET):
        set_kernel(INSIDE)
    inside.set_up(inside.link("lo")[0])


def unplug(record, interface: str, addresses: list, netlink: Netlink) -> None:
    """Take a cable away by our end of it, and what the host knows of the other: who has these `addresses`.

    `record`: the network's, None if it is gone.
    """
    link = netlink.link(interface)
    if link is not None:
        try:
            netlink.delete(link[0])
        except OSError as error:
            # else the kernel was quicker: it takes the container's namespace apart meanwhile
            if error.errno != errno.ENODEV:
                raise
    bridge = netlink.link(record["bridge"]) if record is not None else None
    if bridge is not None:
        for address in addresses:
            try:
                netlink.delete_neighbour(bridge[0], address)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EINVAL):
                    raise
