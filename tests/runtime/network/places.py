"""Network namespaces that a test makes: a host, a machine beside it, and containers. This machine's own is not touched.

Sockets are made inside a namespace and used from the test: `place.open()` talks as a program there would.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shepherd.runtime.linux import syscalls
from shepherd.runtime.linux.netlink import Netlink
from shepherd.runtime.network import attach
from tests import warm
from tests.patience import seconds

if TYPE_CHECKING:
    import subprocess

CHECKOUT = Path(__file__).parents[3]
UPLINK, CLIENT = "198.51.100.1", "198.51.100.2"  # RFC 5737
UPLINK6, CLIENT6 = "2001:db8:1::1", "2001:db8:1::2"
PATIENCE = seconds(20)
PR_SET_PDEATHSIG = 1
FORWARDING = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a namespace that nobody is connected to


def fork(function: Any, *needed: int) -> int:
    """Run a function in a new process. It has the standard streams and what it needs of our descriptors, no others:
    how many these are, and what they hold, is the doing of the tests before.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            gc.freeze()  # what our parent made stays: its end would close numbers that are other files by then
            start = 3
            for one in sorted(needed):
                os.closerange(start, one)
                start = one + 1
            os.closerange(start, os.sysconf("SC_OPEN_MAX"))
            function()
            status = 0
        finally:
            os._exit(status)
    return child


class Place:
    """A network namespace, held by a process that waits to be killed."""

    def __init__(self) -> None:
        ours, theirs = os.pipe()

        def wait() -> None:
            syscalls.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # whatever becomes of the test
            syscalls.unshare(syscalls.CLONE_NEWNET)
            for name in FORWARDING:  # a new namespace has this machine's, which may be a router
                Path(name).write_text("0")
            os.write(theirs, b"+")
            os.close(theirs)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            while True:
                signal.pause()

        self.pid = fork(wait, theirs)
        os.close(theirs)
        said = os.read(ours, 1)
        os.close(ours)
        assert said == b"+"
        self.namespace = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        self._born: set[str] = set()
        self._born = set(self.interfaces()) - {"lo"}  # some kernels put the ends of tunnels into each (sit0)

    def end(self) -> None:
        """Its process, and with the last socket the namespace."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def destroy(self) -> None:
        self.end()
        os.close(self.namespace)

    def inside(self) -> Any:
        return syscalls.inside(self.namespace, syscalls.CLONE_NEWNET)

    def enter(self) -> None:
        """For ever, and without the descriptor, of which a child has a copy."""
        syscalls.setns(self.namespace, syscalls.CLONE_NEWNET)
        os.close(self.namespace)

    def open(self, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET, protocol: int = 0) -> socket.socket:
        with self.inside():
            made = socket.socket(family, kind, protocol)
        made.settimeout(PATIENCE)
        return made

    def listen(self, port: int, address: str = EVERYWHERE, kind: int = socket.SOCK_STREAM) -> socket.socket:
        made = self.open(kind, socket.AF_INET6 if ":" in address else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(64)
        return made

    def connect(self, address: str, port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
        made = self.open(kind, socket.AF_INET6 if ":" in address else socket.AF_INET)
        made.connect((address, port))
        return made

    def netlink(self) -> Netlink:
        return Netlink(self.namespace)

    def setting(self, name: str) -> str:
        with self.inside():
            return (Path("/proc/sys/net") / name).read_text().strip()

    def set(self, name: str, value: str) -> None:
        with self.inside():
            (Path("/proc/sys/net") / name).write_text(value)

    def program(self, *words: str, text: str = "", check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        with self.inside():
            done = warm.run(words, input=text, capture_output=True, text=True, check=False, timeout=seconds(60), **more)
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done

    def interfaces(self) -> list[str]:
        with self.netlink() as netlink:
            return sorted(set(netlink.links()) - self._born)


class Host(Place):
    """A namespace that stands for a host, with a state of its own and a client on its network."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.root = folder / "state"
        self.client = Place()
        self.boxes: dict[str, Box] = {}
        self.environment: dict[str, str] = {}
        for one in (self, self.client):
            with one.netlink() as netlink:
                netlink.set_up(netlink.links()["lo"])
        with self.netlink() as here, self.client.netlink() as there:
            here.add_bridge("lan", up=True)  # so that there is somewhere to plug the cable in
            here.add_veth(
                "up0", here.links()["lan"], "eth0", None, b"\x02\x00\0\0\0\x02", namespace=self.client.namespace
            )
            index, far = here.links()["lan"], there.links()["eth0"]
            for one in (self, self.client):
                one.set("ipv6/conf/default/accept_dad", "0")
            here.add_address(index, UPLINK, 24)
            here.add_address(index, UPLINK6, 64)
            there.add_address(far, CLIENT, 24)
            there.add_address(far, CLIENT6, 64)
            there.set_up(far)

    def call(self, function: Any, *arguments: Any) -> Any:
        """The result of a function in a process of its own on this host, or what it raises."""
        reader, writer = os.pipe()

        def work() -> None:
            self.enter()
            os.environ.update(self.environment, SHEPHERD_RUNTIME_ROOT=str(self.root))
            try:
                result = True, function(*arguments)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test sees it
                result = False, error
            with os.fdopen(writer, "wb") as file:
                pickle.dump(result, file)

        child = fork(work, writer, self.namespace)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            said = file.read()
        os.waitpid(child, 0)
        good, value = pickle.loads(said)  # noqa: S301 - of our own child
        if not good:
            raise value
        return value

    def runtime(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line on this host."""
        program = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
        program += "from shepherd.runtime.cli import main; sys.exit(main())"
        environment = {**os.environ, **self.environment, "SHEPHERD_RUNTIME_ROOT": str(self.root)}
        argv = [sys.executable, "-I", "-S", "-c", program, *words]
        return self.program(*argv, check=check, env=environment, stdin=None)

    def box(self, name: str = "web", **options: Any) -> Box:
        """A container that is plugged in."""
        if name in self.boxes:
            self.boxes.pop(name).destroy()
        self.boxes[name] = Box(self, name)
        return self.boxes[name].attach(**options)

    def rules(self) -> str:
        return self.program("nft", "list", "ruleset").stdout

    def forwarders(self) -> list[int]:
        """Processes of ours that publish ports and are in this namespace."""
        found = []
        here = os.fstat(self.namespace).st_ino
        for entry in os.listdir("/proc"):
            try:
                ours = entry.isdigit() and Path(f"/proc/{entry}/comm").read_text() == "shepherd-ports\n"
                if ours and os.stat(f"/proc/{entry}/ns/net").st_ino == here:
                    found.append(int(entry))
            except OSError:
                continue
        return found

    def destroy(self) -> None:
        for box in self.boxes.values():
            box.destroy()
        for pid in self.forwarders():
            os.kill(pid, signal.SIGKILL)
        self.client.destroy()
        super().destroy()


class Box(Place):
    """A container, as far as networks are concerned: a process in a network namespace, and a folder."""

    def __init__(self, host: Host, name: str) -> None:
        super().__init__()
        self.host = host
        self.name = name
        self.id = (name.encode().hex() * 64)[:64]
        self.folder = host.folder / f"container-{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.planned: dict[str, Any] = {}
        self.attached: dict[str, Any] = {}

    def attach(self, **options: Any) -> Box:
        self.planned = self.host.call(attach.plan, self.id, self.name, options, str(self.folder))
        self.attached = self.host.call(attach.attach, self.id, self.name, self.pid, options, str(self.folder))
        return self

    def detach(self) -> None:
        self.host.call(attach.detach, self.id)

    def address(self, network: str = "bridge", key: str = "address") -> str:
        found: str = self.attached["networks"][network][key]
        return found

    def port(self, number: int = 0) -> int:
        found: int = self.attached["ports"][number]["host"]
        return found

    def hosts(self) -> dict[str, set[str]]:
        """What /etc/hosts says inside: names → addresses."""
        found: dict[str, set[str]] = {}
        for line in filter(None, (self.folder / "hosts").read_text().splitlines()):
            address, *names = line.split()
            for name in names:
                found.setdefault(name, set()).add(address)
        return found


def eventually(condition: Any) -> Any:
    """Wait for what another process or the kernel does."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline
        select.select([], [], [], 0.005)


def exchange(client: socket.socket, server: socket.socket, text: bytes = b"canary") -> tuple[str, int]:
    """A TCP client and a listening server talk, in both directions: where the server sees it come from."""
    with client:
        connection, address = server.accept()
        with connection:
            connection.settimeout(PATIENCE)
            client.sendall(text)
            assert receive(connection, len(text)) == text
            connection.sendall(text[::-1])
            assert receive(client, len(text)) == text[::-1]
    return address[0], address[1]


def receive(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            break
        data += part
    return data


def passes(sender: Place, receiver: Place, address: str, control: Place, port: int = 5000, towards: int = 0) -> bool:
    """Whether a datagram from `sender` to `address` reaches the receiver's port.

    `control` can reach the receiver for certain: its datagram, sent after the other, arrives in any case, so that
    nobody has to wait for what does not come.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = receiver.listen(port, "::" if ":" in address else EVERYWHERE, socket.SOCK_DGRAM)
    with server, sender.open(socket.SOCK_DGRAM, family) as one, control.open(socket.SOCK_DGRAM, family) as two:
        try:
            one.sendto(b"canary", (address, towards or port))
        except OSError:
            return False  # no route, or forbidden at once
        two.sendto(b"control", (control_address(receiver, control, family), port))
        return server.recv(100) == b"canary"


def control_address(receiver: Place, control: Place, family: int) -> str:
    """By which address the control reaches the receiver."""
    if control is receiver:
        return "::1" if family == socket.AF_INET6 else "127.0.0.1"
    if isinstance(receiver, Box):
        place = next(iter(receiver.attached["networks"].values()))
        found: str = place["address6" if family == socket.AF_INET6 else "address"]
        return found
    return CLIENT6 if family == socket.AF_INET6 else CLIENT
