"""From a verb to a container's monitor: started here, or spoken to over its socket."""

import _socket as socket  # socket itself costs an import of enum
import os
import sys

from shepherd.runtime.bundle import document, stage
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files

_PROGRAM = (
    "import sys; sys.path.insert(0, %r); from shepherd.runtime.containers.monitor import main; main(sys.argv[1:])"
)


class StartFailure(RuntimeFailure):
    """A container's program could not be started; `code` is what a shell would say: 125, 126, 127."""

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code


class Connection:
    """To a monitor."""

    def __init__(self, end):
        self._end = end
        self._kept = []  # what came before we were told that it runs

    def fileno(self) -> int:
        """Its descriptor."""
        return self._end.fileno()

    def say(self, packet: bytes) -> bool:
        """Whether there was somebody to hear it."""
        try:
            self._end.send(packet)
            return True
        except OSError:
            return False

    def offer(self, packet: bytes) -> bool:
        """Whether it was taken; it is not while the other side has too much of ours to read."""
        try:
            self._end.send(packet, 0x40)  # MSG_DONTWAIT
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True  # nobody is there: the loop hears of that

    def hear(self) -> bytes:
        """The next packet; nothing when the monitor has ended."""
        if self._kept:
            return self._kept.pop(0)
        return self._receive()

    @property
    def waiting(self) -> bool:
        """Whether there is something to hear already."""
        return bool(self._kept)

    def _receive(self):
        try:
            return self._end.recv(1 << 17)
        except OSError:
            return b""

    def close(self) -> None:
        """Leave it."""
        self._end.close()

    def started(self) -> int:
        """Wait until the container runs: its pid. Raises StartFailure."""
        while True:
            packet = self._receive()
            if packet[:1] in (b"o", b"e"):
                self._kept.append(packet)
            if packet[:1] == b"S":
                return int(packet[1:])
            if packet[:1] == b"E":
                result = document.loads(packet[1:], "monitor")
                raise StartFailure(result["error"], result["code"])
            if not packet:
                raise StartFailure("the monitor ended before the container was started", 125)

    def ended(self, final: bool = True) -> int:
        """Wait until the container ends (`final`: and is not to be started again): its exit code; None: not known."""
        while True:
            packet = self.hear()
            if not packet:
                return None
            if packet[:1] == b"X" or (packet[:1] == b"D" and not final):
                return int(packet[1:])


def connect(record):
    """The Connection to a container's monitor; None where there is none."""
    try:
        place = os.open(record.folders.running(record.id), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        end.connect("/proc/self/fd/%d/socket" % place)
        return Connection(end)
    except OSError:
        end.close()
        return None
    finally:
        os.close(place)


def home() -> str:
    """The folder, or the archive, that this runtime is imported from."""
    return os.path.abspath(__file__).rsplit(os.sep, 4)[0]


_WARM = []


def warm() -> None:
    """Have monitors started by this process be copies of it, without a new interpreter and its imports.

    For a process that has imported little else and is about to end: what it has in memory they keep. Everything that
    a start needs is imported now, once for all of them.
    """
    from shepherd.runtime.linux import moves

    moves.expect()  # while the rest is imported
    from shepherd.runtime.bundle import config, create, lifecycle
    from shepherd.runtime.containers import filters, monitor, own_files, recovery, starting
    from shepherd.runtime.images import rootfs
    from shepherd.runtime.linux import seccomp, title
    from shepherd.runtime.linux.cgroups import devices
    from shepherd.runtime.volumes import volume

    _WARM[:] = [monitor, config, create, lifecycle, filters, own_files, recovery, starting]
    _WARM[len(_WARM) :] = [rootfs, seccomp, title, devices, volume]


def monitor(record, how: str, first: bytes = b"") -> Connection:
    """Start one, to `start` the container, to look after one that runs (`adopt`), or to see whether it is to be started
    `again`. It outlives this process. The packet `first` is there for it before anything can have been said."""
    files.make_folder(record.folders.running(record.id))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC, 0)
    if first:
        ours.send(first)
    child = os.fork()
    if child == 0:
        try:
            # a process that will end soon leaves its child to the machine by that
            if _WARM or os.fork() == 0:
                _become(record, how, theirs.fileno())
        finally:
            os._exit(0)
    theirs.close()
    if not _WARM:
        os.waitpid(child, 0)
    return Connection(ours)


def _become(record, how, descriptor):
    """In a child of a child, which nobody waits for."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    stage.close_others({descriptor}, 0)
    stage.reset_signals()
    os.umask(0o077)
    os.chdir("/")
    words = [record.folders.root, record.folders.state, record.id, how, str(descriptor)]
    if _WARM:
        from shepherd.runtime.linux import title

        title.set_title("shepherd-runtime monitor %s %s" % (record.id, record.folders.root))
        _WARM[0].main(words)
    os.set_inheritable(descriptor, True)
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", _PROGRAM % home(), *words], environment)


def begin_unheard(record) -> None:
    """Start it, if it does not run."""
    connection = begin(record)
    if connection is not None:
        connection.close()


def begin(record, first: bytes = b"") -> Connection:
    """Start a container that does not run, and return the Connection to its monitor, which is told `first` before
    anything else; None where it runs already. Raises StartFailure, RuntimeFailure."""
    from shepherd.runtime.containers import record as records
    from shepherd.runtime.containers import recovery, stopping

    with record:
        recovery.recover(record, restart=False)
        if record.monitor():
            if record.state()["Status"] in records.ALIVE:
                return None
            stopping.await_monitor(record)  # it has just ended
        record.set_stopped(False)
        connection = monitor(record, "start", first)
        try:
            connection.started()
        except BaseException:
            connection.close()
            raise
    return connection
