"""Who talks to a monitor, over a socket in a folder that only root can enter. Packets (SOCK_SEQPACKET), by first byte:

    to the monitor    a  pass on what it says     f  say when the log has grown    i DATA  its standard input
                      e  end its input            r HEIGHT WIDTH  its terminal
                      s SIGNAL GRACE  stop it (-: as declared)
                      u  read again what is declared
    from it           o DATA, e DATA  its output and errors       L  the log has grown       S PID  it has been started
                      E JSON  it could not be    D CODE  it ended, and will be started again   X CODE  it ended

Nobody who is slow holds up the monitor: what is said to them waits, and while much waits for somebody attached, the
container's output stays in its pipe, as it would if it were piped to them.
"""

import _socket as socket  # socket itself costs an import of enum
import os
import select

_MOST = 1 << 18  # bytes that may wait for one of them
_PACKET = 1 << 17


class Clients:
    """All that are connected to a monitor."""

    def __init__(self, monitor, folder: str, first: int):
        self._monitor = monitor
        self._all = {}
        self._input = None
        self._is_terminal = False
        self._typed = bytearray()
        self._held = False
        self._listener = self._listen(folder)
        monitor.watch(self._listener.fileno(), select.POLLIN, self._accept)
        if first >= 0:
            self._add(first)

    def _listen(self, folder):
        place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.unlink("socket", dir_fd=place)
        except FileNotFoundError:
            pass
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        listener.bind("/proc/self/fd/%d/socket" % place)  # short, however long the path is
        listener.listen(64)
        os.close(place)
        return listener

    def _accept(self, _event):
        try:
            descriptor, _address = self._listener._accept()
        except OSError:
            return  # it has gone again
        self._add(descriptor)

    def _add(self, descriptor):
        os.set_blocking(descriptor, False)
        self._all[descriptor] = _Client(descriptor)
        self._monitor.watch(descriptor, select.POLLIN, lambda event: self._turn(descriptor, event))

    def say(self, packet: bytes) -> None:
        """To all."""
        for client in list(self._all.values()):
            self._send(client, packet)

    def output(self, number: int, data: bytes) -> None:
        """What the container said, to those attached."""
        packet = (b"o" if number == 1 else b"e") + data
        for client in list(self._all.values()):
            if client.attached:
                self._send(client, packet)
        self.wake()

    def wake(self) -> None:
        """To those who follow the log."""
        for client in list(self._all.values()):
            if client.following and not client.waiting:
                self._send(client, b"L")

    @property
    def waiting(self) -> bool:
        """Whether something said has not been taken yet."""
        return any(client.waiting for client in self._all.values())

    # One of them

    def _turn(self, descriptor, event):
        client = self._all.get(descriptor)
        if client is None:
            return
        if event & select.POLLOUT:
            self._flush(client)
        if event & (select.POLLIN | select.POLLHUP | select.POLLERR) and descriptor in self._all:
            try:
                packet = client.end.recv(_PACKET)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if packet:
                self._obey(client, packet[:1], packet[1:])
            else:
                self._drop(client)

    def _obey(self, client, verb, rest):
        if verb == b"a":
            client.attached = True
        elif verb == b"f":
            client.following = True
        elif verb == b"i":
            client.typed = True
            self._typed += rest
            self._type()
        elif verb == b"e":
            self._end_input()
        elif verb == b"r":
            height, width = rest.split()
            self._monitor.streams.resize(int(height), int(width))
        elif verb == b"u":
            self._monitor.refresh()
        elif verb == b"s":
            number, grace = rest.split()
            self._monitor.stop(None if number == b"-" else int(number), None if grace == b"-" else int(grace))

    def _send(self, client, packet):
        client.waiting.append(packet)
        client.size += len(packet)
        if len(client.waiting) == 1:
            self._flush(client)
        self._balance()

    def _flush(self, client):
        while client.waiting:
            try:
                client.end.send(client.waiting[0])
            except BlockingIOError:
                break
            except OSError:
                self._drop(client)
                return
            client.size -= len(client.waiting.pop(0))
        self._monitor.watch(
            client.descriptor,
            select.POLLIN | (select.POLLOUT if client.waiting else 0),
            lambda event: self._turn(client.descriptor, event),
        )
        self._balance()

    def _drop(self, client):
        self._monitor.forget(client.descriptor)
        self._all.pop(client.descriptor, None)
        client.end.close()
        self._balance()
        once = self._monitor.record.config["Config"].get("StdinOnce")
        if client.attached and once and not self._is_terminal and not any(one.attached for one in self._all.values()):
            self._end_input()

    def _balance(self):
        held = any(client.attached and client.size > _MOST for client in self._all.values())
        if held != self._held:
            self._held = held
            self._monitor.streams.hold(held)

    # The container's input

    def take_input(self, descriptor, is_terminal: bool = False) -> None:
        """Where what is typed goes: a descriptor; None: nowhere any more. A terminal's is not ours to close."""
        if self._input is not None and not self._is_terminal:
            self._monitor.forget(self._input)
            os.close(self._input)
        self._input, self._is_terminal = descriptor, is_terminal
        self._ended = False
        self._typed.clear()

    _ended = False

    def _type(self):
        """As much as finds room; the rest when there is some again."""
        if self._input is None:
            self._typed.clear()
            return
        while self._typed:
            try:
                done = os.write(self._input, self._typed[:4096])
            except BlockingIOError:
                self._monitor.after(0.01, "type", self._type)
                self._pause(len(self._typed) > _MOST)
                return
            except OSError:
                self._typed.clear()
                return
            del self._typed[:done]
        self._pause(False)
        if self._ended:
            self._end_input()

    def _pause(self, paused):
        """Whether to leave what they type where it is."""
        for client in self._all.values():
            if client.typed:
                wanted = (0 if paused else select.POLLIN) | (select.POLLOUT if client.waiting else 0)
                self._monitor.change(client.descriptor, wanted)

    def _end_input(self):
        if self._typed:
            self._ended = True  # after what is still to be typed
        elif self._input is not None and self._is_terminal:
            os.write(self._input, b"\x04")
        elif self._input is not None:
            os.close(self._input)
            self._input = None


class _Client:
    """One connection."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
        self.attached = self.following = self.typed = False
        self.waiting = []
        self.size = 0
