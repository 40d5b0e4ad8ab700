"""For any Python 3.6+: a host in a namespace, a network, a container on it, its ports; and all of it away again."""

import os
import signal
import socket
import sys

sys.path.insert(0, sys.argv[1])
from shepherd.runtime.cli import main
from shepherd.runtime.linux import syscalls
from shepherd.runtime.linux.netlink import Netlink
from shepherd.runtime.network import attach


def container():
    """A process in a network namespace of its own, which waits to be killed: its pid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        os.write(writer, b"+")
        while True:
            signal.pause()
    os.close(writer)
    assert os.read(reader, 1) == b"+"
    os.close(reader)
    return pid


def talk(pid):
    """Through both ports, in both directions."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    with syscalls.inside(namespace, syscalls.CLONE_NEWNET):
        web, names = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    os.close(namespace)
    with web, names:
        web.bind(("", 80))
        web.listen(5)
        names.bind(("", 53))
        with socket.create_connection(("127.0.0.1", 8080), 20) as client, web.accept()[0] as server:
            client.sendall(b"question")
            assert server.recv(8) == b"question"
            server.sendall(b"answer")
            assert client.recv(6) == b"answer"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(20)
            client.sendto(b"question", ("127.0.0.1", 5353))
            _data, address = names.recvfrom(10)
            names.sendto(b"answer", address)
            assert client.recv(10) == b"answer"


def run(folder):
    syscalls.unshare(syscalls.CLONE_NEWNET)
    os.environ["SHEPHERD_RUNTIME_ROOT"] = folder + "/state"
    with Netlink() as netlink:
        netlink.set_up(netlink.link("lo")[0])
    assert main(["network", "create", "--ipv6", "net"]) == 0
    options = {"network": ["net", "bridge"], "ports": ["8080:80", "0.0.0.0:5353:53/udp"], "aliases": ["www"]}
    pid = container()
    try:
        attach.plan("c" * 64, "web", options, folder)
        attach.attach("c" * 64, "web", pid, options, folder)
        with open(folder + "/hosts") as file:
            assert "www" in file.read().split()
        talk(pid)
        assert main(["network", "ls", "--format", "json"]) == 0
        assert main(["network", "inspect", "net"]) == 0
        attach.detach("c" * 64)
        attach.sweep()
        assert main(["network", "prune", "--force"]) == 0
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


run(sys.argv[2])
print("fine")
