"""Files of our own state: written whole or not at all."""

import fcntl
import os
import time

from shepherd.runtime.errors import RuntimeFailure


def make_folder(path: str) -> None:
    """Make the folder, and those above it, for this user alone. One that is there stays as it is."""
    if not os.path.isdir(path):
        above = os.path.dirname(path)
        if above and not os.path.isdir(above):
            make_folder(above)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass


def replace(path: str, data: bytes) -> None:
    """Make `data` the content of `path`: at any moment, also after a power cut, the file is the old or the new one."""
    beside = "%s.%s" % (path, os.urandom(6).hex())
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Lock:
    """A flock on the file `path`, as a context: shared by many, or exclusively ours. It dies with its holder."""

    def __init__(self, path: str, shared=False, patience=600.0):
        self._path = path
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._patience = patience
        self._fd = -1

    def __enter__(self):
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            take(self._fd, self._kind, self._patience, self._path)
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(self, *_):
        os.close(self._fd)


def take(fd: int, kind: int, patience: float, what: str) -> None:
    """flock with an end: after `patience` seconds RuntimeFailure, which says what somebody else still holds."""
    wait, end = 0.001, time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise RuntimeFailure("%s is still in use by another process" % what, "fuser shows which one it is")
        time.sleep(wait)
        wait = min(wait * 2, 0.1)


def try_lock(fd: int) -> bool:
    """Whether nobody held it; it is ours then, exclusively."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
