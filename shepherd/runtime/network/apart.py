"""The network of an ordinary user's container: one that is its own, and leads nowhere.

A bridge, or a cable to the machine, is root's to make. What comes to published ports is brought in by the forwarder,
which holds the sockets on the machine and connects from within the container's network. There the container has an
address besides 127.0.0.1, so that what comes in is not taken for what some programs trust (CVE-2021-20199).
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls, user_namespace
from shepherd.runtime.network import networks

ADDRESS = "10.209.0.2"  # on the loopback interface: the same for all, none of which sees another


def check(mode, options: dict) -> None:
    """Refuse what it cannot be. `mode` is a joining.Mode."""
    if mode.kind == "bridge" and mode.networks != [networks.DEFAULT]:
        raise RuntimeFailure(
            "networks of several containers are made by root; an ordinary user's have one of their own",
            "--network container:NAME shares one, --network host has the machine's",
        )
    for key in ("ip", "ip6", "mac"):
        if options.get(key):
            raise RuntimeFailure("an ordinary user's container has no interface whose address could be chosen")


def prepare(namespace: int) -> None:
    """Set the loopback interface up and give it the address. Raises RuntimeFailure.

    In a process of its own: from there no way leads back into the machine's network for one who is not its root.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            syscalls.setns(namespace, syscalls.CLONE_NEWNET)
            _prepare()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeFailure("cannot prepare the network of the container")


def _prepare():
    from shepherd.runtime.linux.netlink import Netlink
    from shepherd.runtime.network import bridge

    groups = "0\t%d" % max(first + count - 1 for first, _outside, count in user_namespace.maps("gid"))
    bridge.set_kernel(dict(bridge.INSIDE, **{"ipv4/ping_group_range": groups}))
    with Netlink() as netlink:
        netlink.set_up(1)  # lo is the first of all
        netlink.add_address(1, ADDRESS, 32)
