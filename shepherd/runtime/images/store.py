"""Where images are kept: blobs by their digest, names in an index, layers unpacked once.

The folder is an OCI image layout (image-layout.md), so that other programs can read it:

    oci-layout  index.json      names → digests; a name is the annotation org.opencontainers.image.ref.name
    blobs/ALGORITHM/HEX         each verified before it got this name, never written again
    layers/ID                   unpacked layers: see layers.py
    staging/                    what is not finished; a flock on it says that somebody is at it
    leases/                     what a process at work needs, though nothing names it yet: a file with a flock
    pins/                       what a container or another owner needs until it says otherwise
    lock                        held shared for a moment to lease something, exclusively to change names or to collect

Who needs a blob leases it first and looks for it then; who collects holds the lock, so that every lease is either seen
or comes after the collection. No lock is held while something is transferred or unpacked.
"""

import fcntl
import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import digest as digests
from shepherd.runtime.images import documents, files
from shepherd.runtime.images.digest import CHUNK, Digest

DEFAULT_ROOT = "/var/lib/shepherd"
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_LETTERS = _FIRST | frozenset("_.-")


def root_folder() -> str:
    """Where the runtime keeps its state: SHEPHERD_RUNTIME_ROOT, or /var/lib/shepherd."""
    return os.environ.get("SHEPHERD_RUNTIME_ROOT") or DEFAULT_ROOT


class Store:
    """The store below the folder `root`, which is made where it is not there."""

    def __init__(self, root=None):
        self.root = os.path.abspath(root or root_folder())
        try:
            for part in ("blobs/sha256", "blobs/sha512", "layers", "staging", "leases", "pins"):
                files.make_folder(self.path(part))
            if not os.path.exists(self.path("oci-layout")):
                files.replace(self.path("oci-layout"), b'{"imageLayoutVersion":"1.0.0"}')
        except OSError as error:
            raise RuntimeFailure("cannot keep images in %s: %s" % (self.root, error.strerror), "--root says where to")

    def path(self, *parts) -> str:
        return os.path.join(self.root, *parts)

    def lock(self, shared=False):
        return files.Lock(self.path("lock"), shared)

    # Blobs

    def blob_path(self, digest: Digest) -> str:
        return self.path("blobs", Digest(digest).algorithm, digest.hex)

    def has(self, digest: Digest) -> bool:
        return os.path.exists(self.blob_path(digest))

    def size(self, digest: Digest) -> int:
        return os.stat(self.blob_path(digest)).st_size

    def begun(self, digest: Digest) -> int:
        """How many bytes of a blob that is not here came in an earlier try."""
        try:
            return os.stat(self.path("staging", "blob-" + digest.replace(":", "-"))).st_size
        except FileNotFoundError:
            return 0

    def open(self, digest: Digest):
        """The blob as a binary file. Its content was verified when it came; what it must not be is checked by users."""
        try:
            return open(self.blob_path(digest), "rb", buffering=0)
        except FileNotFoundError:
            raise RuntimeFailure("the blob %s is not here" % digest, "pull or import the image again")

    def read(self, digest: Digest, largest=documents.LARGEST) -> bytes:
        """The content of a small blob, verified again."""
        with self.open(digest) as file:
            if os.fstat(file.fileno()).st_size > largest:
                raise RuntimeFailure("%s is larger than %d bytes" % (digest, largest))
            data = file.read()
        if not digest.is_of(data):
            raise RuntimeFailure("the blob %s is damaged" % digest, "remove the image and pull it again")
        return data

    def add(self, data: bytes, lease) -> Digest:
        """Keep `data` as a blob."""
        digest = digests.of(data)
        with self.ingest(digest, len(data), lease) as ingest:
            if not ingest.present:
                ingest.start_again()
                ingest.write(data)
        return digest

    def ingest(self, digest, size, lease):
        """A context: an Ingest of the blob, committed at its end. Who comes second waits for the first one.

        `digest` None: it is not known before the end; then `size` is None too or the known size.
        """
        return _Ingesting(self, digest, size, lease)

    # Leases and pins

    def lease(self):
        return Lease(self)

    def pin(self, owner: str, digest: Digest) -> None:
        """Keep the image of this manifest, its blobs and layers, until `owner` (a container's id) unpins it."""
        with self.lock():
            if not self.has(digest):
                raise RuntimeFailure("the image %s is not here any more" % digest)
            files.replace(self._pin(owner), str(digest).encode())

    def unpin(self, owner: str) -> None:
        try:
            os.unlink(self._pin(owner))
        except FileNotFoundError:
            pass

    def pins(self) -> dict:
        """Owner → Digest of the manifest it needs."""
        found = {}
        for name in os.listdir(self.path("pins")):
            if _is_owner(name):
                try:
                    with open(self.path("pins", name)) as file:
                        found[name] = Digest(file.read())
                except (FileNotFoundError, RuntimeFailure):
                    continue  # gone meanwhile, or never finished
        return found

    def pinned(self, owner: str):
        """The Digest that `owner` needs, or None."""
        try:
            with open(self._pin(owner)) as file:
                return Digest(file.read())
        except (FileNotFoundError, RuntimeFailure):
            return None

    def touch_pin(self, owner: str) -> None:
        """Note that what `owner` needs was used now."""
        try:
            os.utime(self._pin(owner))
        except FileNotFoundError:
            pass  # unpinned meanwhile

    def pin_times(self, start: str) -> dict:
        """Owner → when it pinned or last used what it needs (seconds), of the owners whose names begin so."""
        found = {}
        for name in os.listdir(self.path("pins")):
            if name.startswith(start) and _is_owner(name):
                try:
                    found[name] = os.stat(self.path("pins", name)).st_mtime
                except FileNotFoundError:
                    continue
        return found

    def _pin(self, owner):
        if not _is_owner(owner):
            raise RuntimeFailure("not a name: %s" % ascii(owner)[:150])
        return self.path("pins", owner)


def _is_owner(name):
    return 0 < len(name) <= 128 and name[0] in _FIRST and _LETTERS.issuperset(name)


class _Ingesting:
    """(contextlib takes longer to import than most commands that only look at images take.)"""

    def __init__(self, store, digest, size, lease):
        self._asked = (store, digest, size)
        self._lease = lease

    def __enter__(self):
        store, digest, size = self._asked
        if digest is not None:
            self._lease.add(digest)
        self._ingest = Ingest(store, digest, size)
        return self._ingest

    def __exit__(self, kind, *_):
        try:
            if kind is None and not self._ingest.present:
                self._ingest.commit(self._lease)
        finally:
            self._ingest.close()


class Lease:
    """What this process needs while it is at it. As a context: it ends with it, and with the process."""

    def __init__(self, store: Store):
        self._store = store
        self._path = store.path("leases", os.urandom(12).hex())
        self._fd = -1

    def __enter__(self):
        with self._store.lock(shared=True):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        os.close(self._fd)

    def add(self, *needed) -> None:
        """From now on no collection removes these digests, nor what the manifests among them name."""
        with self._store.lock(shared=True):
            os.write(self._fd, b"".join(b"%s\n" % str(Digest(one)).encode() for one in needed))


def leased(store: Store) -> set:
    """Digests in the leases of living processes; leases of dead ones are taken away. To be called with the lock."""
    found = set()
    for name in os.listdir(store.path("leases")):
        path = store.path("leases", name)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        with os.fdopen(fd, "rb") as file:
            if files.try_lock(fd):
                os.unlink(path)
                continue
            for line in file.read().decode("ascii", "replace").split():
                try:
                    found.add(Digest(line))
                except RuntimeFailure:
                    continue  # the last line of somebody who was killed while writing it
    return found


class Ingest:
    """A blob on its way in: `present` where it is here already, `offset` bytes of it are here from an earlier try."""

    def __init__(self, store: Store, digest, size):
        self._store = store
        self.digest = digest
        self.size = size
        self.offset = 0
        self._file = None
        self._hasher = None
        name = "blob-" + (digest.replace(":", "-") if digest else os.urandom(12).hex())
        self._path = store.path("staging", name)
        self.present = bool(digest) and store.has(digest)
        while not self.present and self._file is None:
            self._take()

    def _take(self):
        with self._store.lock(shared=True):  # so that no collection finds it between its making and its lock
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            mine = files.try_lock(fd)
        if not mine:
            try:
                files.take(fd, fcntl.LOCK_EX, 24 * 3600.0, self._path)
            except BaseException:
                os.close(fd)
                raise
        try:
            same = os.path.samestat(os.fstat(fd), os.stat(self._path))
        except FileNotFoundError:
            same = False
        if same and self.digest and self._store.has(self.digest):  # it came between our look and our lock
            os.unlink(self._path)
            same = False
        if same:
            self._file = os.fdopen(fd, "r+b", buffering=0)
            self.offset = os.fstat(fd).st_size
            self._hasher = self._new_hasher() if not self.offset else None  # then resume() or start_again() comes first
        else:
            os.close(fd)  # whoever had it has finished
            self.present = self._store.has(self.digest)

    def start_again(self) -> None:
        """Throw away what is here of it."""
        self._file.seek(0)
        self._file.truncate()
        self.offset = 0
        self._hasher = self._new_hasher()

    def resume(self) -> None:
        """Go on after the `offset` bytes that are here."""
        if self.size is not None and self.offset > self.size:
            self.start_again()
            return
        self._hasher = self._new_hasher()
        self._file.seek(0)
        left = self.offset
        while left:
            data = self._file.read(min(CHUNK, left))
            self._hasher.update(data)
            left -= len(data)

    def _new_hasher(self):
        if self.digest is not None:
            return self.digest.hasher()
        import hashlib

        return hashlib.sha256()

    def write(self, data) -> int:
        self.offset += len(data)
        if self.size is not None and self.offset > self.size:
            self.discard()
            raise RuntimeFailure("the blob %s is longer than the %d bytes it says" % (self.digest or "", self.size))
        self._hasher.update(data)
        done = self._file.write(data)
        while done < len(data):
            done += self._file.write(memoryview(data)[done:])
        return done

    def append(self, data) -> None:
        """Go on after what is here without reading that: resume() does, before what is then whole is committed."""
        self.offset += len(data)
        if self.offset > self.size:
            self.discard()
            raise RuntimeFailure("the blob %s is longer than the %d bytes it says" % (self.digest, self.size))
        self._file.seek(0, os.SEEK_END)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def discard(self) -> None:
        """What is here of it is wrong: do not go on from it."""
        os.unlink(self._path)

    def commit(self, lease) -> None:
        """Verify it and give it its name. Raises RuntimeFailure where it is not what its digest says."""
        if self.size is not None and self.offset < self.size:
            raise RuntimeFailure("the blob %s is cut short: %d of %d bytes" % (self.digest, self.offset, self.size))
        found = Digest("%s:%s" % (self.digest.algorithm if self.digest else "sha256", self._hasher.hexdigest()))
        if self.digest is None:
            lease.add(found)
            self.digest = found
        elif found != self.digest:
            self.discard()
            raise RuntimeFailure("the blob %s has other content: it is %s" % (self.digest, found))
        os.fsync(self._file.fileno())
        place = self._store.blob_path(self.digest)
        os.fchmod(self._file.fileno(), 0o400)
        os.rename(self._path, place)
        files.sync_folder(os.path.dirname(place))
        self.present = True

    def close(self) -> None:
        if self._file is None:
            return
        if not self.present and (self.digest is None or not self.offset):
            try:
                os.unlink(self._path)  # nothing to go on from
            except FileNotFoundError:
                pass
        self._file.close()
