"""What is known of networks, below the state's `networks/`:

    NAME/network.json    a network; the folder is made under another name and renamed
    NAME/leases/ADDRESS  who has the address: the id of a container
    .containers/ID.json  where a container is plugged in, with its first process (pid, when it began, which boot)
    .forwarding          that forwarding was switched on by us, in which boot
    .lock                held (flock) by who changes anything; it dies with its holder

A container's record is written before anything of it is made and taken away after everything is, so that what a killed
process left is found by it. A record whose first process is gone is nobody's: `sweep` frees what it names.
"""

import fcntl
import os

from shepherd.runtime.bundle import document, state
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files

DEFAULT_ROOT = "/var/lib/shepherd"
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_LETTERS = _FIRST | frozenset("_.-")


def check_name(name: str, what: str = "a network") -> str:
    """The name, if it can be one: [a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}. Raises RuntimeFailure."""
    if not isinstance(name, str) or not 0 < len(name) <= 128 or name[0] not in _FIRST or not _LETTERS.issuperset(name):
        raise RuntimeFailure(
            "%s is no name for %s" % (ascii(name)[:80], what), "letters, digits and _ . - are allowed, a letter first"
        )
    return name


def boot() -> str:
    """Which boot of this machine this is."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


class Records:
    """The records below a state's root: SHEPHERD_RUNTIME_ROOT or /var/lib/shepherd."""

    def __init__(self, root=None):
        root = os.path.abspath(root or os.environ.get("SHEPHERD_RUNTIME_ROOT") or DEFAULT_ROOT)
        self.folder = os.path.join(root, "networks")
        self.is_default = root == DEFAULT_ROOT
        try:
            files.make_folder(self.path(".containers"))
        except OSError as error:
            raise RuntimeFailure("cannot keep networks in %s: %s" % (self.folder, error.strerror)) from None

    def path(self, *parts) -> str:
        """A place below the folder."""
        return os.path.join(self.folder, *parts)

    def lock(self) -> "Lock":
        """Everything is changed under this lock, which is held for moments."""
        return Lock(self.path(".lock"))

    # networks

    def networks(self) -> list:
        """All networks that were made, by name."""
        found = []
        for name in sorted(os.listdir(self.folder)):
            record = None if name.startswith(".") else self._read(self.path(name, "network.json"))
            if record is not None:
                found.append(record)
        return found

    def network(self, name: str):
        """The network of this name; None where there is none."""
        return self._read(self.path(check_name(name), "network.json"))

    def add_network(self, record: dict) -> None:
        """Keep a new network, whole or not at all. Raises RuntimeFailure where there is one of that name."""
        name = record["name"]
        if os.path.exists(self.path(name)):
            raise RuntimeFailure("network %s exists" % name, "shepherd-runtime network rm %s takes it away" % name)
        beside = self.path(".new-" + record["id"])
        files.make_folder(os.path.join(beside, "leases"))
        files.replace(os.path.join(beside, "network.json"), document.dumps(record).encode("ascii"))
        os.rename(beside, self.path(name))
        files.sync_folder(self.folder)

    def remove_network(self, name: str) -> None:
        """Take a network's record away."""
        grave = self.path(".gone-" + os.urandom(8).hex())
        os.rename(self.path(name), grave)
        _empty(grave)

    def clear(self) -> None:
        """Take away what was never finished, or is no record after a power cut. To be called with the lock."""
        for name in os.listdir(self.folder):
            if name.startswith((".new-", ".gone-")):
                _empty(self.path(name))
        for name in os.listdir(self.path(".containers")):
            if not name.endswith(".json") or self.container(name[: -len(".json")]) is None:
                os.unlink(self.path(".containers", name))

    # addresses

    def leases(self, name: str) -> set:
        """Addresses of a network that are taken."""
        try:
            return set(os.listdir(self.path(name, "leases")))
        except FileNotFoundError:
            return set()

    def lease(self, name: str, address: str, container: str) -> None:
        """Take an address. Raises FileExistsError where somebody has it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self.path(name, "leases", address), flags, 0o600)
        try:
            os.write(descriptor, container.encode())
        finally:
            os.close(descriptor)

    def holder(self, name: str, address: str) -> str:
        """Who took an address; empty where nobody did, or was killed at it."""
        try:
            with open(self.path(name, "leases", address)) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def free(self, name: str, address: str, container: str) -> None:
        """Give an address back, unless it is another's by now."""
        if self.holder(name, address) in ("", container):
            try:
                os.unlink(self.path(name, "leases", address))
            except FileNotFoundError:
                pass

    # containers

    def container(self, identity: str):
        """Where a container is plugged in; None where it is not known, or the record is damaged: it is dead then."""
        try:
            found = self._read(self._container(identity))
        except RuntimeFailure:
            return None
        return found if isinstance(found, dict) and found.get("container") == identity else None

    def containers(self) -> list:
        """The records of all containers."""
        names = sorted(name for name in os.listdir(self.path(".containers")) if name.endswith(".json"))
        found = [self.container(name[: -len(".json")]) for name in names]
        return [record for record in found if record is not None]

    def save_container(self, record: dict) -> None:
        """Keep a container's record. No process outlives a power cut: there is no fsync."""
        state.write(self._container(record["container"]), document.dumps(record))

    def remove_container(self, identity: str) -> None:
        """Forget a container."""
        try:
            os.unlink(self._container(identity))
        except FileNotFoundError:
            pass

    def _container(self, identity):
        return self.path(".containers", check_name(identity, "a container") + ".json")

    @staticmethod
    def _read(path):
        try:
            with open(path, "rb") as file:
                return document.loads(file.read(), path)
        except (FileNotFoundError, NotADirectoryError):
            return None


class Lock:
    """A flock on a file, as a context."""

    def __init__(self, path: str):
        self._path = path

    def __enter__(self):
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self

    def __exit__(self, *exception):
        os.close(self._descriptor)


def alive(record: dict) -> bool:
    """Whether a container's first process, or its forwarder, is still there."""
    return record.get("boot") == boot() and state.alive(record)


def process(pid: int) -> dict:
    """What names a process once and for all. Raises RuntimeFailure where it has ended."""
    began = state.start_time(pid)
    if not began:
        raise RuntimeFailure("process %d has ended" % pid)
    return {"pid": pid, "began": began, "boot": boot()}


def _empty(folder):
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            os.unlink(os.path.join(place, name))
        for name in folders:
            os.rmdir(os.path.join(place, name))
    os.rmdir(folder)
