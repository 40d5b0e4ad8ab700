"""What a container says, from its named pipes or its terminal, to its log and to those who are attached."""

import fcntl
import os
import select

from shepherd.runtime.containers.log import Log, limits

_MOST = 1 << 16  # bytes read at a time
_TIOCSWINSZ = 0x5414


class Streams:
    """Of one container, for its monitor."""

    def __init__(self, monitor, running: str):
        self._monitor = monitor
        self._running = running
        self._streams = {}  # descriptor: stream
        self._master = None
        self._log = None
        kind = monitor.record.host.get("LogConfig") or {}
        if kind.get("Type") != "none":
            self._log = Log(monitor.record.log_path, *limits(kind))

    def open(self) -> None:
        """The named pipes of one that has no terminal, and where what is typed goes."""
        monitor = self._monitor
        if monitor.record.config["Config"].get("Tty"):
            return
        for number, name in ((1, "out"), (2, "err")):
            path = os.path.join(self._running, name)
            if not os.path.exists(path):
                os.mkfifo(path, 0o600)
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._streams[descriptor] = number
            monitor.watch(descriptor, select.POLLIN, self._reader(descriptor))
        if monitor.record.config["Config"].get("OpenStdin"):
            path = os.path.join(self._running, "in")
            if not os.path.exists(path):
                os.mkfifo(path, 0o600)
            monitor.clients.take_input(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))

    def take_master(self, master: int) -> None:
        """The other side of its terminal."""
        self._master = master
        os.set_blocking(master, False)
        self._streams[master] = 1
        self._monitor.watch(master, select.POLLIN, self._reader(master))
        self._monitor.clients.take_input(master, True)

    def _reader(self, descriptor):
        def read(_event):
            if not self._read(descriptor):
                self._monitor.forget(descriptor)  # its end; it is closed when the container's process has ended

        return read

    def _read(self, descriptor):
        """One read: whether there may be more."""
        try:
            data = os.read(descriptor, _MOST)
        except BlockingIOError:
            return True
        except OSError:
            return False  # EIO: nobody has the other side of the terminal open
        if not data:
            return False
        number = self._streams[descriptor]
        if self._log is not None:
            self._log.write("stdout" if number == 1 else "stderr", data)
        self._monitor.clients.output(number, data)
        return True

    def hold(self, held: bool) -> None:
        """Whether to leave what it says where it is, since somebody attached does not keep up."""
        for descriptor in self._streams:
            self._monitor.change(descriptor, 0 if held else select.POLLIN)

    def drain(self) -> None:
        """What it said last."""
        for descriptor in self._streams:
            while select.select([descriptor], [], [], 0)[0] and self._read(descriptor):
                pass
        if self._log is not None:
            self._log.flush()
            self._monitor.clients.wake()

    def close(self) -> None:
        """Until it is started again."""
        self._monitor.clients.take_input(None)
        for descriptor in self._streams:
            self._monitor.forget(descriptor)
            os.close(descriptor)
        self._streams.clear()
        self._master = None

    def close_log(self) -> None:
        """It is not started again."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def resize(self, height: int, width: int) -> None:
        """Of its terminal, if it has one."""
        if self._master is not None:
            import struct

            fcntl.ioctl(self._master, _TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
