"""What steps have made before, by all that what they make depends on.

A step's key is the digest of the files it begins with, its instruction, what it copies or mounts, and its variables;
what it made is a chain of layers, which the store keeps for the cache (a pin) until it has not been used for a while.
Builds that come to the same step at the same time make it once: the second waits for the first.
"""

import fcntl
import hashlib
import os
import time

from shepherd.runtime.build import chain as chains
from shepherd.runtime.images import documents, files

_FORM = "1"  # to be changed with what a key is made of, or what a step does
_PREFIX = "build-"
KEPT = 14 * 24 * 3600.0  # seconds, for what no build uses


class Cache:
    """Of a store. `lease` keeps what is found; without `reads`, nothing is found, and what is made replaces it."""

    def __init__(self, store, lease, reads=True):
        self._store = store
        self._lease = lease
        self._reads = reads
        files.make_folder(store.path("build", "locks"))

    def find(self, key):
        """The Chain that this step made, or None."""
        if not self._reads:
            return None
        digest = self._store.pinned(_PREFIX + key)
        found = chains.load(self._store, digest, self._lease) if digest is not None else None
        if found is not None:
            self._store.touch_pin(_PREFIX + key)
        return found

    def keep(self, key, chain) -> None:
        self._store.pin(_PREFIX + key, chain.save(self._store, self._lease))

    def lock(self, key):
        """As a context: nobody else makes this step meanwhile."""
        return _StepLock(self._store.path("build", "locks", key))


class _StepLock:
    """A flock on a file that goes away with the last one who needs it."""

    def __init__(self, path):
        self._path = path
        self._fd = -1

    def __enter__(self):
        while True:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                files.take(self._fd, fcntl.LOCK_EX, 24 * 3600.0, self._path)
                if os.path.samestat(os.fstat(self._fd), os.stat(self._path)):
                    return self
            except FileNotFoundError:
                pass  # whoever had it took it away
            except BaseException:
                os.close(self._fd)
                raise
            os.close(self._fd)

    def __exit__(self, *_):
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        os.close(self._fd)


def key_of(*parts) -> str:
    """The key for these parts, which are what JSON can say."""
    return hashlib.sha256(documents.write([_FORM] + list(parts))).hexdigest()


def expire(store, older=KEPT) -> int:
    """Forget the steps that no build has used for so many seconds; how many there were. What only they needed goes
    with the next collection."""
    now, count = time.time(), 0
    for owner, used in store.pin_times(_PREFIX).items():
        if now - used > older or older == 0:
            store.unpin(owner)
            count += 1
    _sweep_locks(store.path("build", "locks"))
    return count


def _sweep_locks(folder):
    """Those of builds that were killed: nobody holds them, and nobody may ever come to that step again."""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if files.try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                os.unlink(path)
        except FileNotFoundError:
            pass  # whoever had it took it away
        finally:
            os.close(descriptor)
