"""Whether this host passes packets on, which containers need to reach anything outside.

It is switched on with the first network that needs it. Where it was off before, our rules drop what is not to or from
a container: the host does not become a router for others. With the last network it is switched off again.
"""

import os

from shepherd.runtime.bundle import document
from shepherd.runtime.images import files
from shepherd.runtime.linux.netlink import Netlink
from shepherd.runtime.network import networks, records, rules

SWITCHES = {"ipv4": "/proc/sys/net/ipv4/ip_forward", "ipv6": "/proc/sys/net/ipv6/conf/all/forwarding"}
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_LISTENING = "/proc/sys/net/ipv6/conf"


def apply(kept: records.Records) -> None:
    """Have the rules, and forwarding, as the records say. To be called with the lock, after each change of them."""
    backend = rules.backend(kept)
    if backend is None:
        return
    found = kept.networks()
    if not found:
        backend.remove()
        _switch_off(kept)
        return
    open_ones = [one for one in found if not one["internal"]]
    needed = [family for family in SWITCHES if any(family == "ipv4" or len(one["subnets"]) > 1 for one in open_ones)]
    ours = _ours(kept)
    missing = [family for family in needed if _read(SWITCHES[family]) == "0"]
    translated = any(networks.is_translated(one) for one in open_ones)
    containers = [one for one in kept.containers() if one.get("ports")] if translated else []
    # the rules come first: at no moment does the host pass on what they would drop
    others = _filtered_bridges(found) if ours or missing else []
    backend.apply(rules.make(found, containers, ours + missing, others))
    for family in missing:
        ours.append(family)
        _keep(kept, ours)
        if family == "ipv6":
            _go_on_listening()
        _write(SWITCHES[family], "1")
        for one in found:
            if one["internal"]:  # the switch of all switches each
                _write("/proc/sys/net/%s/conf/%s/forwarding" % (family, one["bridge"]), "0")


def renew() -> None:
    """When this host has got another bridge (_filtered_bridges), and has networks of ours. Raises RuntimeFailure."""
    root = os.environ.get("SHEPHERD_RUNTIME_ROOT") or records.DEFAULT_ROOT
    if os.path.isdir(os.path.join(root, "networks")):
        kept = records.Records(root)
        with kept.lock():
            if kept.networks():
                apply(kept)


def _filtered_bridges(found):
    """Others' bridges, where br_netfilter shows the packet filter what crosses them. Of odd names none is passed on."""
    if not os.path.exists("/proc/sys/net/bridge"):
        return []
    ours = {one["bridge"] for one in found}
    with Netlink() as netlink:
        return sorted(name for name in netlink.bridges() if name not in ours and _NAME.issuperset(name))


def _go_on_listening():
    """A host that forwards takes no router's advertisements where accept_ra is 1: who took them goes on (ip-sysctl)."""
    for name in os.listdir(_LISTENING):
        path = os.path.join(_LISTENING, name, "accept_ra")
        if name not in ("all", "lo") and _read(path) == "1":
            _write(path, "2")


def _switch_off(kept):
    for family in _ours(kept):
        _write(SWITCHES[family], "0")
    try:
        os.unlink(kept.path(".forwarding"))
    except FileNotFoundError:
        pass


def _ours(kept):
    """What we switched on since this machine booted."""
    try:
        found = document.read(kept.path(".forwarding"))
    except records.RuntimeFailure:
        return []
    return found["families"] if found.get("boot") == records.boot() else []


def _keep(kept, families):
    text = document.dumps({"boot": records.boot(), "families": families})
    files.replace(kept.path(".forwarding"), text.encode("ascii"))


def _read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _write(path, value):
    try:
        with open(path, "w") as file:
            file.write(value)
    except OSError:
        pass  # no IPv6 here, or it is not ours to change: what is missing then is the way out
