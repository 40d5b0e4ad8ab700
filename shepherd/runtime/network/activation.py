"""Waiting until an interface that was just plugged in sends what it is given.

The kernel activates it a moment after its cable is laid, by work that it puts off (linkwatch; Documentation/networking/
operstates.rst), and drops what is sent until then: of a connection the first packet, sent again after a second.
"""

import os
import time

from shepherd.runtime.linux.netlink import Netlink

_PATIENCE = 1.0  # seconds
_LOOK = 0.0005  # seconds between looks: it mostly takes less than two of them


def wait(pid: int, cables, networks) -> None:
    """Until a container's cables (their `shown`, bridge.py) and the bridges of those networks are active.

    One that is not after a second is not waited for, nor is one that is gone, or that cannot be looked at.
    """
    here = [one["link"] for one in cables] + [one["bridge"] for one in networks]
    try:
        _wait(pid, [one["interface"] for one in cables], here)
    except OSError:
        pass  # the process has ended, say: nothing is sent any more


def _wait(pid, there, here):
    deadline = time.monotonic() + _PATIENCE
    namespace = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Netlink() as outside, Netlink(namespace) as inside:
            for netlink, names in ((inside, there), (outside, here)):
                for name in names:
                    while not netlink.is_active(name) and time.monotonic() < deadline:
                        time.sleep(_LOOK)
    finally:
        os.close(namespace)
