"""What is known of a container between two commands: one folder each, ROOT/ID, with mode 0700.

    state.json     the record, written beside and renamed over; with the configuration as it was at `create`
    init           locked (flock) by the container's first process for as long as it waits for `start`: the kernel
                   lets go of the lock when the process becomes the user's program, or ends
    start          the socket on which it waits

Who changes a container holds a lock on its folder, which dies with its holder. A folder comes to be under another
name and is renamed, complete and locked; it goes the same way. What a killed command left is told by its lock being
free. Nothing here has to survive a power cut, since no process does: there is no fsync.
"""

import _signal as signal  # signal itself costs an import of enum
import errno
import fcntl
import os
import select
import stat
import time

from shepherd.runtime.bundle import document
from shepherd.runtime.errors import RuntimeFailure

VERSION = "1.2.0"
_RECORD = {
    "ociVersion!": "string",
    "bundle!": "string",
    "created!": "string",
    "owner!": "id",
    "group!": "name",
    "unit": "name",
    "pid": "positive",
    "began": "uint64",
    "ready": "bool",
    "paused": "bool",
    "config!": {"root!": "object", "linux!": "object"},
}
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")


def default_root() -> str:
    """Where the records are when nothing else is said."""
    if os.geteuid() == 0:
        return "/run/shepherd/bundles"
    return os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/tmp/shepherd-%d" % os.geteuid(), "shepherd", "bundles")


def check_name(name: str) -> str:
    """The ID, if it is one: it becomes the name of a folder and of a control group. Raises RuntimeFailure."""
    if not name or len(name) > 1024 or name in (".", "..") or not _LETTERS.issuperset(name) or name[0] in "-.":
        raise RuntimeFailure(
            "%.80r is no ID of a container" % name, "letters, digits and _ + - . are allowed, the first no - or ."
        )
    return name


class Container:
    """A container that exists, locked or not. `record` is state.json as a dict."""

    def __init__(self, root: str, name: str, folder: str, record: dict, lock=None, config=None):
        self.root = root
        self.name = name
        self.folder = folder
        self.record = record
        self._lock = lock
        self._config = config  # the record's as JSON, of one that is being made, whose configuration does not change

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.release()

    def release(self) -> None:
        """Let others change it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def lock(self):
        """The descriptor that holds the lock, which children have to close."""
        return self._lock

    def save(self) -> None:
        """Write the record."""
        self.prepare()
        self.commit()

    def prepare(self) -> None:
        """Write it beside the one that holds: `commit` puts it in its place."""
        self._beside = _write_beside(os.path.join(self.folder, "state.json"), _text(self.record, self._config))

    def commit(self) -> None:
        """Let what was prepared hold."""
        os.rename(self._beside, os.path.join(self.folder, "state.json"))

    def status(self) -> str:
        """creating, created, running, paused or stopped."""
        record = self.record
        if not alive(record):
            return "creating" if not record.get("ready") and self._is_locked() else "stopped"
        if not record.get("ready"):
            return "creating"
        if _is_held(os.path.join(self.folder, "init")):
            return "created"
        return "paused" if record.get("paused") else "running"

    def _is_locked(self):
        return self._lock is not None or _is_held(self.folder)

    def public(self) -> dict:
        """The state as runtime.md has it, "State"."""
        record = self.record
        status = self.status()
        shown = {"ociVersion": record["ociVersion"], "id": self.name}
        if record.get("pid") and status != "stopped":
            shown["pid"] = record["pid"]
        shown.update(status=status, bundle=record["bundle"])
        if record["config"].get("annotations"):
            shown["annotations"] = record["config"]["annotations"]
        return shown

    def send(self, number: int) -> None:
        """Signal its first process. Raises RuntimeFailure where that has ended."""
        if not signal_process(self.record, number):
            raise RuntimeFailure("%s: container not running" % self.name)

    def wait(self, timeout: float = 10.0) -> bool:
        """Whether its first process has ended, waiting for it so many seconds."""
        deadline = time.monotonic() + timeout
        descriptor = _open_process(self.record)
        if descriptor is not None:
            try:
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                poll.poll(timeout * 1000)
            finally:
                os.close(descriptor)
        while alive(self.record) and time.monotonic() < deadline:
            time.sleep(0.005)  # before Linux 5.3 there is nothing to wait on
        return not alive(self.record)

    def remove(self) -> None:
        """Take the record away."""
        grave = os.path.join(self.root, ".gone-%d-%s" % (os.getpid(), self.name[:200]))
        try:
            os.rename(self.folder, grave)
        except FileNotFoundError:
            return
        _empty(grave)


class Claim:
    """A record in the making, locked, that has no name yet: nobody else sees it."""

    def __init__(self, root: str, name: str):
        make_root(root)
        self._root = root
        self._name = name
        self.folder = os.path.join(root, ".new-%d-%s" % (os.getpid(), name[:200]))
        _empty(self.folder)
        os.mkdir(self.folder, 0o700)
        self.lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        os.close(os.open(os.path.join(self.folder, "init"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))

    def publish(self, record: dict) -> Container:
        """The container under its name, still locked. Raises RuntimeFailure where the name is taken."""
        folder = os.path.join(self._root, self._name)
        config = document.dumps(record["config"])
        write(os.path.join(self.folder, "state.json"), _text(record, config))
        try:
            os.rename(self.folder, folder)  # rename(2): fails where there is a folder with something in it
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise RuntimeFailure("container %s exists" % self._name, "delete it, or take another name") from None
        lock, self.lock = self.lock, None
        return Container(self._root, self._name, folder, record, lock, config)

    def abandon(self) -> None:
        """Take it away, if it has not been published."""
        if self.lock is not None:
            _empty(self.folder)
            os.close(self.lock)
            self.lock = None


def _text(record, config):
    """A record as JSON. `config` is its configuration, if that is JSON already: after a fork it would be copied to look
    through it once more."""
    if config is None:
        return document.dumps(record)
    rest = {name: value for name, value in record.items() if name != "config"}
    return '%s,"config":%s}' % (document.dumps(rest)[:-1], config)


def make_root(root: str) -> None:
    """The folder of all records, which nobody else looks into."""
    try:
        os.makedirs(root, 0o700, exist_ok=True)
    except OSError as error:
        raise RuntimeFailure("cannot make %s: %s" % (root, error.strerror)) from None
    found = os.lstat(root)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise RuntimeFailure("%s is not a folder of this user's" % root)


def find(root: str, name: str) -> Container:
    """The container as it is now, without a lock. Raises RuntimeFailure where there is none."""
    folder = os.path.join(root, check_name(name))
    record = _record(folder)
    if record is None:
        raise RuntimeFailure("container %s does not exist" % name)
    return Container(root, name, folder, record)


def is_paused(root: str, name: str) -> bool:
    """Whether the processes of a container are stopped where they are. Raises RuntimeFailure for a damaged record.

    Few records have the word in them, and the others, which are long, are not taken apart.
    """
    try:
        with open(os.path.join(root, check_name(name), "state.json"), "rb", 0) as file:
            if b'"paused"' not in file.read():
                return False
    except OSError:
        return False
    return bool(find(root, name).record.get("paused"))


def hold(root: str, name: str) -> Container:
    """The container, locked: waits for whoever changes it now. Raises RuntimeFailure where there is none."""
    folder = os.path.join(root, check_name(name))
    while True:
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            raise RuntimeFailure("container %s does not exist" % name) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_same(lock, folder):
                record = _record(folder)
                if record is None:
                    raise RuntimeFailure("%s is no record of a container" % folder)
                return Container(root, name, folder, record, lock)
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # it was deleted while we waited; perhaps there is another of that name


def names(root: str) -> list:
    """The IDs of all containers."""
    try:
        return sorted(name for name in os.listdir(root) if not name.startswith("."))
    except FileNotFoundError:
        return []


def sweep(root: str) -> None:
    """Take away what commands left that were killed while they made or removed a folder."""
    try:
        left = [name for name in os.listdir(root) if name.startswith((".new-", ".gone-"))]
    except OSError:
        return
    for name in left:
        folder = os.path.join(root, name)
        maker = name.split("-")[1]
        if not (maker.isdigit() and start_time(int(maker))) and not _is_held(folder):
            _empty(folder)


def write(path: str, text: str) -> None:
    """Write a file of ours (mode 0600) so that readers see the old or the new."""
    os.rename(_write_beside(path, text), path)


def _write_beside(path, text):
    beside = "%s.%d" % (path, os.getpid())
    descriptor = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        try:
            left = text.encode()
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
    except OSError:
        os.unlink(beside)  # no room for it
        raise
    return beside


def start_time(pid: int) -> int:
    """When the process began, in clock ticks since boot: with the pid it is a name that is used once. 0 if it ended."""
    try:
        with open("/proc/%d/stat" % pid, "rb", 0) as file:
            fields = file.read(4096).rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def alive(record: dict) -> bool:
    """Whether its first process has not ended."""
    return bool(record.get("pid")) and start_time(record["pid"]) == record["began"]


def _open_process(record):
    """A descriptor of the first process; None where it has ended or there is no such thing as a descriptor of it."""
    if not record.get("pid"):
        return None
    from shepherd.runtime.linux import syscalls  # nor does who only looks need it

    try:
        descriptor = syscalls.pidfd_open(record["pid"])
    except OSError:
        return None
    if alive(record):
        return descriptor
    os.close(descriptor)
    return None


def signal_process(record: dict, number: int) -> bool:
    """Signal the first process, unless it has ended: whether it was there."""
    from shepherd.runtime.linux import syscalls

    descriptor = _open_process(record)
    try:
        if descriptor is not None:
            syscalls.pidfd_send_signal(descriptor, number)
        elif alive(record):
            os.kill(record["pid"], number)
        else:
            return False
        return True
    except ProcessLookupError:
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)


def kill_process(record: dict) -> None:
    """End the first process, if it is there."""
    signal_process(record, signal.SIGKILL)


def _record(folder):
    """The record; None where there is none. Raises RuntimeFailure for one that no command of ours wrote."""
    from shepherd.runtime.bundle import schema  # who looks at many containers reads few of these

    path = os.path.join(folder, "state.json")
    try:
        with open(path, "rb") as file:
            record = document.loads(file.read(), path)
        schema.check(record, _RECORD)
        return record
    except OSError:
        return None
    except RuntimeFailure as error:
        message = error.message if error.message.startswith(path) else "%s: %s" % (path, error.message)
        raise RuntimeFailure(message, "it was damaged: end its processes, and remove %s" % folder) from None


def _is_same(descriptor, path):
    try:
        now = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino)


def _is_held(path):
    """Whether somebody has the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _empty(folder):
    """Remove a folder that has only files in it, or is not there."""
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    except FileNotFoundError:
        pass
