"""What happens to containers, as lines of JSON that `events` shows (docker events, of the type container)."""

import fcntl
import os
import time

from shepherd.runtime.bundle import document
from shepherd.runtime.errors import RuntimeFailure

_LARGEST = 4 << 20  # bytes of the file, after which the older half of what is known is let go


def write(record, action: str, attributes=None) -> None:
    """Add one. That it cannot be written is no reason for anything else to fail."""
    config = record.config["Config"]
    about = dict(config.get("Labels") or {}, image=config.get("Image") or "", name=record.name, **(attributes or {}))
    now = time.time()
    line = {
        "status": action,
        "id": record.id,
        "from": config.get("Image") or "",
        "Type": "container",
        "Action": action,
        "Actor": {"ID": record.id, "Attributes": about},
        "scope": "local",
        "time": int(now),
        "timeNano": int(now * 1000000000),
    }
    try:
        _append(record.folders.events, document.dumps(line).encode("ascii") + b"\n")
    except OSError:
        pass


def _append(path, line):
    """In one write, so that lines do not mix; the lock is for who moves the file aside."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if not found.st_nlink or found.st_ino != os.stat(path).st_ino:
                continue
            if found.st_size > _LARGEST:
                os.rename(path, path + ".1")
                continue
            if os.write(descriptor, line) < len(line):
                os.ftruncate(descriptor, found.st_size)  # no room for all of it
            return
        except FileNotFoundError:
            continue  # moved aside meanwhile
        finally:
            os.close(descriptor)


def lines(path: str):
    """All that are kept, the oldest first: dicts."""
    for name in (path + ".1", path):
        try:
            with open(name, "rb") as file:
                for line in file:
                    found = _read(line, name)
                    if found is not None:
                        yield found
        except FileNotFoundError:
            continue


def _read(line, name):
    """None for what is no event: somebody may have been killed, or found no room, in the middle of it."""
    try:
        found = document.loads(line, name)
    except RuntimeFailure:
        return None
    return found if isinstance(found, dict) else None


class Follower:
    """Those that are written from now on."""

    def __init__(self, path: str):
        self._path = path
        self._file = None
        self._open()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def _open(self):
        try:
            self._file = open(self._path, "rb")  # noqa: SIM115 - open for as long as it is followed
        except FileNotFoundError:
            self._file = None

    def take(self) -> list:
        """What has come since the last time."""
        found = []
        if self._file is None:
            self._open()
        while self._file is not None:
            place = self._file.tell()
            line = self._file.readline()
            if line.endswith(b"\n"):
                one = _read(line, self._path)
                if one is not None:
                    found.append(one)
                continue
            self._file.seek(place)
            try:
                moved = os.stat(self._path).st_ino != os.fstat(self._file.fileno()).st_ino
            except FileNotFoundError:
                moved = False
            if not moved:
                break
            self._file.close()
            self._open()
        return found
