"""A person, or a pipe, at the streams of a container that its monitor looks after."""

import _signal as signal  # signal itself costs an import of enum
import os
import select

from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import launch, recovery
from shepherd.runtime.containers import record as records
from shepherd.runtime.errors import RuntimeFailure

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
)
_DETACH = b"\x10\x11"  # control-P control-Q
_STREAMS = ("stdin", "stdout", "stderr")


def only(words: list) -> set:
    """The streams of -a; all where none is named. Raises RuntimeFailure."""
    words = [word.lower() for word in words]
    for word in words:
        if word not in _STREAMS:
            raise RuntimeFailure("--attach: should be stdin, stdout or stderr, and is %.40r" % word)
    return set(words or _STREAMS)


def run(record, interactive: bool, wanted: set, proxy: bool = True) -> int:
    """Start a container, and be at it until it ends: its exit code. Raises StartFailure, RuntimeFailure."""
    connection = launch.begin(record, b"a")
    if connection is None:
        connection = attach(record)
    return Relay(record, connection, interactive, wanted, proxy).run()


def attach(record) -> launch.Connection:
    """To one that runs. Raises RuntimeFailure."""
    recovery.look_after(record)
    connection = launch.connect(record)
    if connection is None or not connection.say(b"a"):
        raise RuntimeFailure("container %s is not running" % record.name)
    return connection


class Relay:
    """Between this process's streams and the container's."""

    def __init__(self, record, connection, interactive: bool, wanted: set, proxy: bool):
        self._record = record
        self._connection = connection
        self._terminal = bool(record.config["Config"].get("Tty"))
        self._input = interactive and "stdin" in wanted
        self._outputs = {b"o": 1 if "stdout" in wanted else None, b"e": 2 if "stderr" in wanted else None}
        self._proxy = proxy
        self._pending = None
        self._typed = b""
        self._detached = False

    def run(self) -> int:
        """Until it ends, or is left by control-P control-Q: its exit code, or 0."""
        if not self._terminal or not os.isatty(0):
            self._hear_signals()
            return self._loop()
        import termios
        import tty

        before = termios.tcgetattr(0)
        try:
            tty.setraw(0, termios.TCSANOW)
            signal.signal(signal.SIGWINCH, lambda _number, _frame: self._resize())
            self._resize()
            return self._loop()
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _hear_signals(self):
        for number in _FORWARDED if self._proxy else ():
            signal.signal(number, self._forward)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _forward(self, number, _frame):
        processes.signal_process(self._record.process(self._record.state()), number)

    def _resize(self):
        import fcntl
        import struct

        height, width = struct.unpack("HHHH", fcntl.ioctl(0, 0x5413, b"\0" * 8))[:2]  # TIOCGWINSZ
        if height and width:
            self._connection.say(b"r %d %d" % (height, width))

    def _loop(self):
        while True:
            while self._connection.waiting:
                self._take(self._connection.hear())
            poll = select.poll()
            poll.register(self._connection.fileno(), select.POLLIN | (select.POLLOUT if self._pending else 0))
            if self._input and not self._pending:
                poll.register(0, select.POLLIN)
            for descriptor, event in poll.poll():
                if descriptor == 0 and not self._pending:
                    self._type()
                    if self._detached:
                        return 0
                    continue
                if event & select.POLLOUT and self._pending and self._connection.offer(self._pending):
                    self._pending = None
                if event & ~select.POLLOUT and descriptor != 0:
                    code = self._take(self._connection.hear())
                    if code is not None:
                        return code

    def _take(self, packet):
        kind = packet[:1]
        if kind in self._outputs:
            target = self._outputs[kind]
            if target is not None and not _write(target, packet[1:]):
                self._outputs[kind] = None  # nobody reads it any more
        elif kind == b"X":
            return int(packet[1:])
        elif not packet:
            return self._lost()
        return None

    def _lost(self):
        """Its monitor has ended and did not say how: perhaps it was killed, and another one goes on."""
        recovery.look_after(self._record)
        self._connection.close()
        connection = launch.connect(self._record)
        if connection is not None and connection.say(b"a"):
            self._connection = connection
            return None
        found = records.read(self._record.folders, self._record.id)
        return found.state()["ExitCode"] if found is not None else recovery.LOST

    def _type(self):
        try:
            data = os.read(0, 32768)
        except OSError:
            data = b""
        if not data:
            self._input = False
            self._offer(b"e")
            return
        if self._terminal and os.isatty(0):
            data = self._typed + data
            self._typed = b""
            if _DETACH in data:
                self._detached = True
                return
            if data.endswith(_DETACH[:1]):
                data, self._typed = data[:-1], data[-1:]
        if data:
            self._offer(b"i" + data)

    def _offer(self, packet):
        if not self._connection.offer(packet):
            self._pending = packet


def _write(descriptor, data):
    """Whether all of it found a reader."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except OSError:
            return False
    return True
