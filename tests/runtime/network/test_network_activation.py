"""What is sent right after a container was plugged in arrives."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from shepherd.runtime.network import activation

pytestmark = pytest.mark.lab


def test_a_cable_is_waited_for_until_the_kernel_lets_things_through(host):
    box = host.box("web")
    cable, network = box.attached["networks"]["bridge"], {"bridge": "shepherd0"}
    with box.netlink() as inside, host.netlink() as outside:
        box.program("ip", "link", "set", cable["interface"], "down")
        assert not inside.is_active(cable["interface"])
        waited = threading.Event()

        def wait() -> None:
            with host.inside():
                activation.wait(box.pid, [cable], [network])
            waited.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not waited.wait(0.1)
        inside.set_up(inside.links()[cable["interface"]])
        thread.join()
        assert all(outside.is_active(name) for name in (cable["link"], "shepherd0"))
        assert inside.is_active(cable["interface"])


def test_what_is_gone_is_not_waited_for(host):
    box = host.box("web")
    cable, network = box.attached["networks"]["bridge"], {"bridge": "shepherd0"}
    box.program("ip", "link", "del", cable["interface"])
    with host.inside():
        activation.wait(box.pid, [cable], [network])
        activation.wait(os.getpid(), [{"link": "none", "interface": "none"}], [])


@pytest.mark.parametrize("number", range(3))
def test_the_first_packet_to_a_new_container_arrives(host, number):
    """Also while the kernel takes other namespaces apart, which is what it is busy with when containers come and go."""
    for name in ("a", "b", "c"):
        host.box(name).destroy()
        host.boxes.pop(name)
    host.runtime("network", "create", "other")
    web = host.box("web", network=["other"])
    with web.listen(5000, kind=socket.SOCK_DGRAM) as server, host.open(socket.SOCK_DGRAM) as client:
        client.sendto(b"canary", (web.address("other"), 5000))
        assert server.recv(100) == b"canary"
