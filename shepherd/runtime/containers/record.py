"""What is known of a container: what was declared, and what became of it.

A record is made whole in a folder of another name and gets its own by rename(2), so that it is there or is not. Who
changes a container holds a lock on its folder, which dies with its holder.
"""

import fcntl
import os
import struct

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files
from shepherd.runtime.linux import user_namespace

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_HEX = frozenset("0123456789abcdef")
NEW = {
    "Status": "created",
    "Pid": 0,
    "Began": 0,
    "Boot": "",
    "ExitCode": 0,
    "Error": "",
    "OOMKilled": False,
    "StartedAt": clock.NEVER,
    "FinishedAt": clock.NEVER,
    "RestartCount": 0,
}
ALIVE = ("running", "paused", "restarting")  # what a state says that a monitor has to look after


def check_name(name: str) -> str:
    """The name, if it is one: it becomes a file's. Raises RuntimeFailure."""
    if not 0 < len(name) <= 128 or not _LETTERS.issuperset(name) or name[0] in "_.-":
        raise RuntimeFailure(
            "%.140r is no name of a container" % name, "letters, digits and _ . - are allowed, the first no _ . or -"
        )
    return name


def new_id() -> str:
    """64 hexadecimal digits, as Docker's are."""
    return os.urandom(32).hex()


class Record:
    """A container. `config` is config.json as a dict; `id` and `name` are its own."""

    def __init__(self, folders, identity: str, config: dict):
        self.folders = folders
        self.id = identity
        self.config = config
        self.folder = folders.container(identity)
        self._lock = None

    @property
    def name(self) -> str:
        """Without the slash that Docker's API puts before it."""
        return self.config["Name"]

    @property
    def host(self) -> dict:
        """How it is run on this machine (Docker's HostConfig)."""
        return self.config["HostConfig"]

    @property
    def group(self) -> str:
        """Its control group, below each hierarchy."""
        parent = (self.host.get("CgroupParent") or "").strip("/") or "shepherd"
        return "%s/%s" % (parent, self.id)

    @property
    def is_grouped(self) -> bool:
        """Whether it has that group: an ordinary user's has one only where it could be made."""
        return not user_namespace.of_user() or bool(self.host.get("CgroupParent"))

    @property
    def log_path(self) -> str:
        """Its log."""
        return os.path.join(self.folder, self.id + "-json.log")

    @property
    def is_attached(self) -> bool:
        """Whether it is the network's part that connects it: not none, not host, not another container's."""
        mode = self.host["NetworkMode"]
        return mode not in ("none", "host") and not mode.startswith("container:")

    def path(self, *names) -> str:
        """A file of its folder."""
        return os.path.join(self.folder, *names)

    def save(self) -> None:
        """Write what is declared."""
        files.replace(self.path("config.json"), document.dumps(self.config).encode())

    # What became of it

    def state(self) -> dict:
        """state.json as it is now. What cannot be read, after a power cut, is as if it had never been started."""
        found = dict(NEW)
        try:
            with open(self.path("state.json"), "rb", 0) as file:
                found.update(document.loads(file.read(), "state.json"))
        except (OSError, RuntimeFailure, TypeError, ValueError):
            pass
        return found

    def save_state(self, state: dict) -> None:
        """Without a sync: after a power cut nothing runs in any case."""
        processes.write(self.path("state.json"), document.dumps(state))

    def process(self, state: dict) -> dict:
        """Its first process for bundle.state: pid and when that began; a pid of an earlier boot is none."""
        if state["Boot"] != boot():
            return {"pid": 0, "began": 0}
        return {"pid": state["Pid"], "began": state["Began"]}

    def monitor(self) -> int:
        """The pid of its monitor; 0 where there is none."""
        return _holder(self.path("monitor"))

    @property
    def stopped(self) -> bool:
        """Whether a person stopped it."""
        return os.path.exists(self.path("stopped"))

    def set_stopped(self, stopped: bool) -> None:
        """Remember whether a person stopped it; of one that its monitor has just removed (--rm) nothing needs to be."""
        try:
            if stopped:
                os.close(os.open(self.path("stopped"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            else:
                os.unlink(self.path("stopped"))
        except FileNotFoundError:
            pass

    # The lock

    @property
    def locked(self) -> bool:
        """Whether we hold it."""
        return self._lock is not None

    def __enter__(self):
        """Hold it: wait for who changes it now. Raises RuntimeFailure where it was removed meanwhile."""
        try:
            lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            raise _missing(self.name) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = read(self.folders, self.id)
            if found is None:
                raise _missing(self.name)
        except BaseException:
            os.close(lock)
            raise
        self.config, self._lock = found.config, lock
        return self

    def __exit__(self, *exception):
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def boot() -> str:
    """Which start of the machine this is (random(4))."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


_FLOCK = "hhqqi"  # struct flock of fcntl(2)
_F_GETLK = fcntl.F_GETLK


def _holder(path):
    """The pid that has the lock on a file, which is not taken to find out."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)
        kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, _F_GETLK, asked))
        return 0 if kind == fcntl.F_UNLCK else pid
    finally:
        os.close(descriptor)


def _missing(word):
    return RuntimeFailure("no such container: %.140s" % ascii(word)[1:-1], "see: shepherd-runtime ps -a")


def read(folders, identity: str):
    """The record of an id; None where there is none."""
    path = os.path.join(folders.container(identity), "config.json")
    try:
        with open(path, "rb", 0) as file:
            config = document.loads(file.read(), path)
    except (OSError, RuntimeFailure):
        return None
    if not isinstance(config, dict) or config.get("Id") != identity:
        return None
    return Record(folders, identity, config)


def is_id(word: str) -> bool:
    """Whether it is a whole one."""
    return len(word) == 64 and _HEX.issuperset(word)


def ids(folders) -> list:
    """The ids of all containers."""
    try:
        return [name for name in os.listdir(folders.containers) if is_id(name)]
    except FileNotFoundError:
        return []


def everything(folders) -> list:
    """All containers, the newest first."""
    found = [one for one in (read(folders, identity) for identity in ids(folders)) if one is not None]
    return sorted(found, key=lambda one: one.config["Created"], reverse=True)


def named(folders, name: str):
    """The id that a name belongs to; None where it is free."""
    try:
        identity = os.readlink(os.path.join(folders.names, name))
    except OSError:
        return None
    found = read(folders, identity) if is_id(identity) else None
    return identity if found is not None and found.name == name else None


def look(folders, word: str):
    """The container of a name, an id or the beginning of one; None where there is none."""
    if 0 < len(word) <= 128 and _LETTERS.issuperset(word) and word[0] not in "_.-":
        identity = named(folders, word)
        if identity is not None:
            return read(folders, identity)
        if _HEX.issuperset(word):
            found = [one for one in ids(folders) if one.startswith(word)]
            if len(found) > 1:
                raise RuntimeFailure("more than one container has an id that begins with %s" % word)
            if found:
                return read(folders, found[0])
    return None


def find(folders, word: str) -> Record:
    """The same; raises RuntimeFailure where there is none."""
    found = look(folders, word)
    if found is None:
        raise _missing(word)
    return found


def take_name(folders, name: str, identity: str) -> None:
    """Give a name to a container; the lock on names is held. Raises RuntimeFailure where another one has it."""
    other = named(folders, name)
    if other is not None and other != identity:
        raise RuntimeFailure(
            "the name %s is in use by the container %s" % (name, other[:12]), "remove or rename that, or take another"
        )
    place = os.path.join(folders.names, name)
    beside = os.path.join(folders.names, ".%s" % identity[:32])
    for path in (beside,):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    os.symlink(identity, beside)
    os.rename(beside, place)


def drop_name(folders, name: str) -> None:
    """Let others have it; the lock on names is held."""
    try:
        os.unlink(os.path.join(folders.names, name))
    except FileNotFoundError:
        pass
