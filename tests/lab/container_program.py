"""A container by hand, for any Python that a target may have: container_program.py ROOT SCRATCH OUTPUT."""

import os
import socket
import sys
import time

sys.path.insert(0, sys.argv[1])
scratch, output = sys.argv[2:]

from shepherd.runtime.linux import cgroups, mounts, namespaces, processes  # noqa: E402 - the path comes first
from shepherd.runtime.linux.netlink import Netlink  # noqa: E402

NAME = "shepherd-lab-test/%d" % os.getpid()  # noqa: UP031 - Python 3.6
BRIDGE, CABLE = "sht%d" % os.getpid(), "shv%d" % os.getpid()  # noqa: UP031
KINDS = ["mount", "pid", "network", "uts", "ipc"]
SCRIPT = "hostname; echo $$; ls -A /root; echo /dev/*; sleep 100"


def main(gate):
    namespaces.standard_streams(os.open(output, os.O_WRONLY | os.O_CREAT))
    mounts.make_private()
    mounts.enter_root(mounts.make_overlay(NAME, "/", scratch, [("/root", 0o700)]))
    for mount in mounts.proc(True) + mounts.SYS + mounts.DEV + mounts.TEMPORARY:
        mount.make()
    mounts.make_devices()
    socket.sethostname("inside")
    gate()
    with Netlink() as netlink:
        index = netlink.links()["eth0"]
        netlink.set_up(index)
        netlink.add_address(index, "10.200.0.2", 24)
        netlink.add_default_route("10.200.0.1")
        assert ("10.200.0.2", 24) in netlink.networks()
    os.execve("/bin/sh", ["sh", "-c", SCRIPT], {"PATH": "/usr/bin:/bin"})  # noqa: S606 - as a container does


def refused(gate):
    gate()
    raise ValueError("not today")


def written():
    with open(output) as file:
        return file.read()


def expect_refusal():
    failing = namespaces.spawn(KINDS, refused)
    failing.go()
    try:
        failing.wait()
    except namespaces.StartError as error:
        assert str(error) == "ValueError: not today", error
    else:
        raise AssertionError("it was to be refused")
    namespaces.spawn(KINDS, refused).abandon()


with Netlink() as netlink:
    netlink.add_bridge(BRIDGE)
    bridge = netlink.links()[BRIDGE]
    starting = namespaces.spawn(KINDS, main)
    try:
        netlink.add_veth(CABLE, bridge, "eth0", starting.pid, b"\2\0\0\0\0\1")
        starting.go()
        starting.wait()
        assert processes.inits(NAME) == {NAME: starting.pid}
        expect_refusal()
        said = "inside\n1\n/dev/fd /dev/full /dev/mqueue /dev/null /dev/ptmx /dev/pts /dev/random /dev/shm "
        said += "/dev/stderr /dev/stdin /dev/stdout /dev/tty /dev/urandom /dev/zero\n"
        deadline = time.time() + 20
        while written() != said and time.time() < deadline:
            time.sleep(0.01)
        assert written() == said, written()
        assert processes.kill([starting.pid]) == []
        assert processes.inits(NAME) == {}
        assert cgroups.hierarchies()
    finally:
        starting.abandon()
        processes.kill([starting.pid])
        netlink.delete(bridge)
print("fine")
