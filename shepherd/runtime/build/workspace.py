"""Where a build's steps happen: a folder of the store's staging, roots mounted there, and nothing left of it.

All of it is in the mount namespace of the build's process (worker.py).
"""

import hashlib
import os
import time

from shepherd.runtime.build import staging
from shepherd.runtime.build.chain import Chain
from shepherd.runtime.images import compression, diff, layers, rootfs, trees
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.manifest import OCI_LAYER, Descriptor
from shepherd.runtime.linux import mounts, syscalls

_PIECE = 1 << 20


class Workspace:
    """`epoch` (seconds or None): no time in a layer is later. As a context: afterwards all of it is gone."""

    def __init__(self, store, lease, epoch=None):
        self.store = store
        self.lease = lease
        self.epoch = epoch
        self.name = staging.prefix(store) + os.urandom(8).hex()
        self.path = store.path("staging", self.name)
        self._holder = -1
        self._count = 0
        self._views = {}  # chain's key → descriptor of its root
        self._opened = []

    def __enter__(self):
        self._holder = staging.make(self.store, self.path)
        return self

    def __exit__(self, *_):
        for descriptor in list(self._views.values()) + self._opened:
            os.close(descriptor)
        for path in reversed(_mounted_below(self.path)):
            syscalls.umount(path, syscalls.MNT_DETACH)
        trees.remove(self.path)  # only now: what is mounted is not ours to empty
        os.close(self._holder)

    def folder(self, kind) -> str:
        """A new empty folder."""
        self._count += 1
        path = os.path.join(self.path, "%s-%d" % (kind, self._count))
        os.mkdir(path, 0o700)
        return path

    def opened(self, descriptor) -> int:
        """To be closed at the end."""
        self._opened.append(descriptor)
        return descriptor

    def moment(self) -> int:
        """This second, in nanoseconds, or as late as it may be."""
        return int(time.time() if self.epoch is None else self.epoch) * 10**9

    def created(self) -> str:
        """The same as a configuration has it (RFC 3339)."""
        seconds = time.time() if self.epoch is None else self.epoch
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    def view(self, chain) -> int:
        """The descriptor of a root with these files, to be read."""
        found = self._views.get(chain.key)
        if found is None:
            change = Change(self, chain)
            found = self._views[chain.key] = change.root
            change.root = -1
        return found

    def change(self, chain, below=()):
        """A root with these files, as a context: see Change. `below` are folders seen where the chain has nothing."""
        return Change(self, chain, below)

    def layers_of(self, chain) -> list:
        return layers.ensure(chain.image(self.store))


def _mounted_below(path) -> list:
    """Where something is mounted in the folder, in the order in which it was."""
    return [point for point, _words in mounts.points() if point.startswith(path + "/")]


class Change:
    """A root that is written to: `path`, and `root`, its descriptor. `commit` makes a layer of what was written."""

    def __init__(self, workspace, chain, below=()):
        self._workspace = workspace
        self._chain = chain
        folders = list(below) + workspace.layers_of(chain)
        self.path, self._upper, work = (workspace.folder(kind) for kind in ("root", "upper", "work"))
        upper = trees.open_folder(self._upper)
        try:
            _take_root(folders[-1], upper)
            form = layers.overlay_form(upper)
            self._before = _root_state(upper)
        finally:
            os.close(upper)
        rootfs.mount("shepherd-build", folders, self.path, self._upper, work, form=form)
        self.root = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.root >= 0:
            os.close(self.root)
            self.root = -1
            syscalls.umount(self.path, syscalls.MNT_DETACH)
        trees.remove(self._upper)

    def commit(self) -> Chain:
        """The Chain of the one layer that what was written is; without any where nothing was."""
        os.close(self.root)
        self.root = -1
        syscalls.umount(self.path, syscalls.MNT_DETACH)
        upper = trees.open_folder(self._upper)
        try:
            if not os.listdir(upper) and _root_state(upper) == self._before:
                return Chain()
        finally:
            os.close(upper)
        workspace = self._workspace
        with workspace.store.ingest(None, None, workspace.lease) as ingest:
            ingest.start_again()
            tar = _Layer(ingest)
            diff.write_upper(self._upper, tar, workspace.epoch)
            diff_id = tar.close()
            size = ingest.offset
        return Chain([(Descriptor(OCI_LAYER + "+gzip", ingest.digest, size), diff_id)], workspace.created())


class _Layer:
    """A file that compresses into a blob, and knows the digest of what was written."""

    def __init__(self, blob):
        self._compressed = compression.compressor("gzip", blob)
        self._hasher = hashlib.sha256()
        self._parts = []
        self._size = 0

    def write(self, data):
        self._parts.append(bytes(data))
        self._size += len(data)
        if self._size >= _PIECE:
            self._flush()
        return len(data)

    def _flush(self):
        data = b"".join(self._parts)
        self._parts, self._size = [], 0
        self._hasher.update(data)
        self._compressed.write(data)

    def close(self):
        self._flush()
        self._compressed.close()
        return Digest("sha256:" + self._hasher.hexdigest())


def _take_root(path, upper):
    """An overlay's root has the attributes of its upper folder: they are to be those of the layer below."""
    below = trees.open_folder(path)
    try:
        state = os.fstat(below)
        os.fchown(upper, state.st_uid, state.st_gid)
        os.fchmod(upper, state.st_mode & 0o7777)
        for name in os.listxattr(below):
            if ".overlay." not in name and not name.startswith("security.selinux"):
                os.setxattr(upper, name, os.getxattr(below, name))
        os.utime(upper, ns=(state.st_mtime_ns, state.st_mtime_ns))
    finally:
        os.close(below)


def _root_state(folder):
    state = os.fstat(folder)
    return state.st_mode, state.st_uid, state.st_gid, state.st_mtime_ns
