"""Layers, each unpacked once: the folders an overlay's lower layers are made of.

A layer is the same folder for all images that have it, named by its diff id. One that has things in folders it says
nothing about takes what lower layers say about them, as a container would see it: its folder then depends on what is
below and is named by the chain id (config.md, "Layer ChainID").
"""

import fcntl
import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import compression, files, room, trees
from shepherd.runtime.images import digest as digests
from shepherd.runtime.images.layer_tree import IMPLIED
from shepherd.runtime.images.tar_reader import Broken, Stream
from shepherd.runtime.images.unpack import Limits, Unpacker

EMPTY = "empty"  # the folder an image without layers is made of
_SMALL = 1 << 20  # a blob below is not worth a thread


def chain_ids(diff_ids) -> list:
    """The chain id of each layer with those below it."""
    found = []
    for diff_id in diff_ids:
        if found:
            text = "%s %s" % (found[-1], diff_id)
            diff_id = digests.of(text.encode())
        found.append(diff_id)
    return found


def names_of(config) -> set:
    """Every name that a folder of a layer of this image may have."""
    return {diff_id.hex for diff_id in config.diff_ids} | {"chain-" + one.hex for one in chain_ids(config.diff_ids)}


def ensure(image, limits=None, report=None) -> list:
    """Paths of the layers' folders, from the lowest up; those that are not there are unpacked, if all of them fit.

    The caller holds a lease or a pin on the image. `report(descriptor)` is called before each unpacking.
    """
    found = []
    chains = chain_ids(image.config.diff_ids)
    wanted = list(zip(image.manifest.layers, image.config.diff_ids, chains))
    lacking = [descriptor for descriptor, diff_id, chain in wanted if _there(image.store, diff_id, chain) is None]
    if lacking:
        size = sum(room.unpacked(image.store, descriptor) for descriptor in lacking)
        room.check(image.store.root, size, "layers to be unpacked")
    for descriptor, diff_id, chain in wanted:
        path = _there(image.store, diff_id, chain)
        if path is None:
            if report is not None:
                report(descriptor)
            path = _unpack_once(image.store, descriptor, diff_id, chain, found, limits)
        found.append(path)
    if not found:
        path = image.store.path("layers", EMPTY)
        files.make_folder(path)
        os.chmod(path, 0o755)
        found.append(path)
    return found


def flatten(image, folder: str, limits=None) -> None:
    """Unpack all layers into `folder`, one upon the other: for where no overlay can be mounted."""
    root = trees.open_folder(folder)
    try:
        os.fchmod(root, 0o755)
        os.utime(root, ns=(0, 0))
        for descriptor, diff_id in zip(image.manifest.layers, image.config.diff_ids):
            _unpack(image.store, descriptor, diff_id, Unpacker(root, "flat", limits), limits)
    finally:
        os.close(root)


def _there(store, diff_id, chain):
    for name in (diff_id.hex, "chain-" + chain.hex):
        path = store.path("layers", name)
        if os.path.isdir(path):
            return path
    return None


def _unpack_once(store, descriptor, diff_id, chain, lowers, limits):
    """Who comes second waits for the first; what somebody left who was killed is thrown away."""
    staging = store.path("staging", "layer-" + chain.hex)
    while True:
        with store.lock(shared=True):
            try:
                os.mkdir(staging, 0o700)
            except FileExistsError:
                pass
            holder = trees.open_folder(staging)
            mine = files.try_lock(holder)
        try:
            if not mine:
                files.take(holder, fcntl.LOCK_EX, 24 * 3600.0, staging)
            path = _there(store, diff_id, chain)
            if path is not None:
                return path
            try:
                same = os.path.samestat(os.fstat(holder), os.stat(staging))
            except FileNotFoundError:
                same = False
            if same:
                return _fill(store, staging, holder, descriptor, diff_id, chain, lowers, limits)
        finally:
            os.close(holder)


def _fill(store, staging, holder, descriptor, diff_id, chain, lowers, limits):
    for name in os.listdir(holder):
        trees.remove(name, holder)
    try:
        os.mkdir("root", 0o700, dir_fd=holder)
        root = trees.open_folder("root", holder)
        try:
            unpacker = Unpacker(root, overlay_form(root), limits)
            _unpack(store, descriptor, diff_id, unpacker, limits)
            dependent = _take_attributes(unpacker.implied, root, lowers)
            if not unpacker.has_root:
                dependent = _take_attributes({b""}, root, lowers) or dependent
            _sync(root)
        finally:
            os.close(root)
        path = store.path("layers", "chain-" + chain.hex if dependent else diff_id.hex)
        os.rename(os.path.join(staging, "root"), path)
        files.sync_folder(store.path("layers"))
        os.rmdir(staging)
        return path
    except BaseException:
        trees.remove(staging)
        raise


def _unpack(store, descriptor, diff_id, unpacker, limits):
    limits = limits or Limits()
    what = "layer %s" % descriptor.digest
    with store.open(descriptor.digest) as file:
        source = _hashed(file, diff_id, limits)
        if os.fstat(file.fileno()).st_size > _SMALL:
            source = compression.pump(source)
        try:
            stream = Stream(source)
            unpacker.unpack(stream)
            stream.drain()  # so that all of it is verified
        except RuntimeFailure as error:
            raise RuntimeFailure("%s: %s" % (what, error.message), error.hint)
        finally:
            source.close()


def _hashed(file, diff_id, limits):
    """The uncompressed pieces; at the end they are what the diff id says, or RuntimeFailure."""
    _, source = compression.pieces(file)
    hasher, total = diff_id.hasher(), 0
    for piece in source:
        hasher.update(piece)
        total += len(piece)
        limits.check_ratio(total, os.lseek(file.fileno(), 0, os.SEEK_CUR))
        yield piece
    if hasher.hexdigest() != diff_id.hex:
        raise Broken("its content is not what the image says: %s instead of %s" % (hasher.hexdigest(), diff_id.hex))


def overlay_form(folder: int) -> str:
    """Which extended attributes mark an opaque folder here: those of root, or those an ordinary user may set."""
    for form in ("trusted", "user"):
        try:
            os.setxattr(folder, form + ".overlay.opaque", b"y")
            os.removexattr(folder, form + ".overlay.opaque")
            return form
        except OSError:
            continue
    raise RuntimeFailure("the file system of the store has no extended attributes", "--root may be on another one")


def _take_attributes(paths, root, lowers) -> bool:
    """Give folders what the highest of the lower layers that has them says. Returns whether any has.

    For the root that is so only where it is not as roots are: most layers say nothing about it, and are to be shared.
    """
    changed = False
    for path in sorted(paths, reverse=True):
        if _is_hidden(root, path):
            continue  # by an opaque folder of this layer: what is below that is not the container's
        for lower in reversed(lowers):
            there, hides = _look_below(trees.open_folder(lower), path)
            if there is not None:
                try:
                    found = os.fstat(there)
                    named = [name for name in os.listxattr(there) if ".overlay." not in name]
                    if path or named or (found.st_mode & 0o7777, found.st_uid, found.st_gid) != IMPLIED[:3]:
                        changed = True
                        _copy_attributes(there, found, named, root, path)
                finally:
                    os.close(there)
            if hides:
                break
    return changed


def _is_hidden(root, path):
    while path:
        path = path.rpartition(b"/")[0]
        above = _look_below(os.dup(root), path)[0]
        try:
            if _is_opaque(above):
                return True
        finally:
            os.close(above)
    return False


def _copy_attributes(source, found, named, root, path):
    target = _look_below(os.dup(root), path)[0]
    try:
        if os.geteuid() == 0:
            os.fchown(target, found.st_uid, found.st_gid)
        os.fchmod(target, found.st_mode & 0o7777)
        for name in named:
            os.setxattr(target, name, os.getxattr(source, name))
        os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))
    finally:
        os.close(target)


def _look_below(folder, path):
    """(descriptor of the folder `path` below `folder` or None, whether it hides those of lower layers). The descriptor
    `folder` is used up."""
    for name in path.split(b"/") if path else ():
        above = folder
        try:
            folder = trees.open_folder(name, above)
        except FileNotFoundError:
            return None, _is_opaque(above)
        except OSError:
            return None, True  # a removal, or a file or link in its place
        finally:
            os.close(above)
    return folder, True


def _is_opaque(folder):
    return any(name.endswith(".overlay.opaque") for name in os.listxattr(folder))


def _sync(folder):
    """All of a layer is on the disk before it gets its name, with one call instead of one for each file."""
    from shepherd.runtime.linux import syscalls

    syscalls.syncfs(folder)
