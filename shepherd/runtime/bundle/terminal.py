"""Terminals: one made inside the container for its process, and a person's, connected to it (pty(7), ioctl_tty(2))."""

import errno
import fcntl
import os
import stat
import struct

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import paths, syscalls

TIOCSCTTY, TIOCGWINSZ, TIOCSWINSZ = 0x540E, 0x5413, 0x5414
TIOCGPTN, TIOCSPTLCK, TIOCGPTPEER = 0x80045430, 0x40045431, 0x5441


def make(root: int, path: str = "/dev/pts/ptmx", plain: bool = False) -> tuple:
    """(master, slave) of a new terminal of the devpts that is mounted inside `root`; `plain`: \\n stays \\n in it.

    Neither is opened by a name that a container could have replaced: what is found is checked to be the multiplexer
    (character device 5:2), and the other end is asked of the kernel.
    """
    try:
        place = paths.open_inside(root, path, os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS)
    except OSError:
        raise RuntimeFailure("a terminal needs a mount of type devpts at /dev/pts") from None
    try:
        found = os.fstat(place)
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(5, 2):
            raise RuntimeFailure("%s inside is not the multiplexer of terminals" % path)
        master = paths.open_inside(root, path, os.O_RDWR | os.O_NOCTTY, syscalls.RESOLVE_NO_SYMLINKS)
    finally:
        os.close(place)
    if not os.path.samestat(found, os.fstat(master)):
        raise RuntimeFailure("%s inside was changed while it was opened" % path)
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if plain:
        _change_output(slave, less=("ONLCR",))
    return master, slave


def _change_output(descriptor, more=(), less=()):
    """Switch modes of output on and off."""
    import termios  # inside a container it was imported before

    modes = termios.tcgetattr(descriptor)
    for name in more:
        modes[1] |= getattr(termios, name)
    for name in less:
        modes[1] &= ~getattr(termios, name)
    termios.tcsetattr(descriptor, termios.TCSANOW, modes)


def set_size(descriptor: int, height: int, width: int) -> None:
    """Rows and columns."""
    fcntl.ioctl(descriptor, TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def take(slave: int, user: int) -> None:
    """Make it the controlling terminal and the three standard streams of this session leader."""
    try:
        os.fchown(slave, user, -1)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise
    fcntl.ioctl(slave, TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)
    if slave > 2:
        os.close(slave)


def connect(path: str):
    """The socket of --console-socket. Raises RuntimeFailure."""
    import socket

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise RuntimeFailure("--console-socket %s: %s" % (path, error.strerror)) from None
    return connection


def hand_over(connection, master: int, name: bytes = b"/dev/pts/ptmx") -> None:
    """Send the master's descriptor over a socket, as callers of runtimes expect it: with its name as the data."""
    connection.sendmsg([name], [(1, 1, struct.pack("=i", master))])  # SOL_SOCKET, SCM_RIGHTS


def receive(connection) -> int:
    """The descriptor that hand_over sent."""
    _data, control, _flags, _address = connection.recvmsg(4096, 64)
    for level, kind, data in control:
        if (level, kind) == (1, 1):
            master = struct.unpack_from("=i", data)[0]
            os.set_inheritable(master, False)
            return master
    raise RuntimeFailure("the container's terminal did not arrive")


class Relay:
    """A person's terminal and the container's, connected until the container's has no more to say.

    `plain`: the container's was made so; it is the person's that makes \\r\\n of \\n, and a file or a pipe has none.
    """

    def __init__(self, master: int, plain: bool = False):
        import termios

        self.master = master
        self._plain = plain
        self._termios = termios
        self._before = termios.tcgetattr(0) if os.isatty(0) else None
        self._open = True  # our standard input
        self.moved = False  # whether the last turn found something

    def __enter__(self):
        termios = self._termios
        if self._before is not None:
            import tty

            tty.setraw(0, termios.TCSANOW)
            if self._plain:
                _change_output(0, more=("OPOST", "ONLCR"))
            self.resize()
        return self

    def __exit__(self, *exception):
        if self._before is not None:
            self._termios.tcsetattr(0, self._termios.TCSADRAIN, self._before)

    def resize(self) -> None:
        """Give it the size of ours."""
        if self._before is not None:
            size = fcntl.ioctl(0, TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self.master, TIOCSWINSZ, size)

    def turn(self, poll_timeout: int) -> bool:
        """Move what there is, waiting so many milliseconds for it; False when the other side has ended."""
        import select

        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        if self._open:
            poll.register(0, select.POLLIN)
        ready = poll.poll(poll_timeout)
        self.moved = bool(ready)
        for descriptor, _event in ready:
            if descriptor == self.master:
                try:
                    data = os.read(self.master, 65536)
                except OSError:  # EIO: nobody has the slave open
                    data = b""
                if not data:
                    return False
                _write(1, data)
            else:
                data = os.read(0, 65536)
                if data:
                    _write(self.master, data)
                else:
                    self._open = False
                    _write(self.master, b"\x04")  # end of file, as typed
        return True


def _write(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]
