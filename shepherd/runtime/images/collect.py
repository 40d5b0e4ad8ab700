"""Garbage collection: what no name, no lease and no pin needs goes away.

Under the store's lock nobody can begin to need something (see store.py), so what is found to be unneeded is. Folders
are moved aside under the lock and emptied after it.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files, layers, trees
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images.digest import ALGORITHMS, Digest
from shepherd.runtime.images.manifest import LARGEST_CONFIG, Index
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.store import leased


class Collected:
    """What went away: `blobs` (digests), `layers` (names of folders), `size` in bytes of the blobs."""

    def __init__(self):
        self.blobs = []
        self.layers = []
        self.size = 0


def collect(store, partial=False) -> Collected:
    """Remove what is unneeded; if `partial`, also what a pull that was interrupted would go on from."""
    done = Collected()
    with store.lock():
        blobs, folders = needed(store)
        _remove_blobs(store, blobs, done)
        _move_layers(store, folders, done)
        rubbish = _rubbish(store, partial)
    for path, fd in rubbish:
        try:
            if os.path.isdir(path):
                trees.remove(path)
            else:
                os.unlink(path)
        finally:
            os.close(fd)
    return done


def needed(store):
    """(digests of blobs, names of folders of layers) that must stay. To be called with the lock."""
    waiting = [(descriptor.digest, descriptor.media_type) for _, descriptor in Names(store).all()]
    waiting += [(digest, None) for digest in leased(store)]
    waiting += [(digest, None) for digest in store.pins().values()]
    blobs, folders = set(), {layers.EMPTY}
    while waiting:
        digest, media_type = waiting.pop()
        if digest in blobs:
            continue
        blobs.add(digest)
        document = _document(store, digest, media_type)
        if isinstance(document, Index):
            waiting += [(one.digest, one.media_type) for one in document.manifests]
        elif document is not None:
            blobs.add(document.config.digest)
            blobs.update(layer.digest for layer in document.layers)
            try:
                config = manifests.read_any_config(store.read(document.config.digest, LARGEST_CONFIG))
                folders |= layers.names_of(config)
            except RuntimeFailure:
                continue  # an artifact, or not all here: it has no layers that are unpacked
    return blobs, folders


def _document(store, digest, media_type):
    """The manifest or index that the blob is, or None: a lease does not say what it leases."""
    try:
        return manifests.read(store.read(digest), media_type)
    except RuntimeFailure:
        return None


def _remove_blobs(store, kept, done):
    for algorithm in ALGORITHMS:
        folder = store.path("blobs", algorithm)
        for name in os.listdir(folder):
            try:
                digest = Digest("%s:%s" % (algorithm, name))
            except RuntimeFailure:
                continue  # not ours
            if digest not in kept:
                path = os.path.join(folder, name)
                done.size += os.stat(path).st_size
                done.blobs.append(digest)
                os.unlink(path)


def _move_layers(store, kept, done):
    for name in os.listdir(store.path("layers")):
        if name not in kept:
            os.rename(store.path("layers", name), store.path("staging", "gone-" + os.urandom(8).hex()))
            done.layers.append(name)


def _rubbish(store, partial):
    """(path, descriptor with the lock on it) of what nobody is at in staging."""
    found = []
    for name in os.listdir(store.path("staging")):
        if name.startswith("blob-sha") and not partial:
            continue
        path = store.path("staging", name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if files.try_lock(fd) and _is_still(path, fd):
            found.append((path, fd))
        else:
            os.close(fd)
    return found


def _is_still(path, fd):
    """Whether it was not finished and renamed before the lock was ours: another may begin under that name then."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
