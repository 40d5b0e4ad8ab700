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

    One that is not after a second is not waited for, nor is one that is gone.
    """
    deadline = time.monotonic() + _PATIENCE
    here = [one["link"] for one in cables] + [one["bridge"] for one in networks]
    try:
        namespace = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # the process has ended: nothing is sent any more
    try:
        with Netlink() as outside, Netlink(namespace) as inside:
            for netlink, names in ((inside, [one["interface"] for one in cables]), (outside, here)):
                for name in names:
                    while not netlink.is_active(name) and time.monotonic() < deadline:
                        time.sleep(_LOOK)
    finally:
        os.close(namespace)
