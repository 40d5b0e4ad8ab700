"""Images on the controller: out of archives, registries and build hosts into a store of its own, from which the layers
that hosts lack are sent.

An archive is read once, whatever the number of hosts and of plays: what it was found to hold is kept beside the store,
under the archive's path, size and time of change. A blob is opened and mapped once for all hosts of a run, so that the
kernel reads it once, and none of it is held here for a host.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast
from weakref import WeakKeyDictionary

from shepherd.errors import ShepherdError
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.engine.run import Run
    from shepherd.engine.step import Step
    from shepherd.link import Link

PIECE = 16 * 1024 * 1024  # bytes in a request: what a broken connection costs at most
MAPPED = 128  # blobs at the same time: each takes a descriptor
DAYS = 30  # that an image is kept which no play asks for

# In check mode, what names would mean by now: (host, name) → digest. Later tasks of a run say what they would do then.
_expected: WeakKeyDictionary[Run, dict[tuple[str, str], str]] = WeakKeyDictionary()

# Blobs that a run sends, by their path
_mapped: WeakKeyDictionary[Run, dict[str, mmap.mmap | bytes]] = WeakKeyDictionary()
# What a run has had from registries: (name, platform) → the image
_pulled: WeakKeyDictionary[Run, dict[tuple[str, str], Image]] = WeakKeyDictionary()


def expect(step: Step, name: str, digest: str) -> None:
    """This name of an image would mean that digest on the step's host."""
    _expected.setdefault(step.run, {})[step.state.name, name] = digest


def expected(step: Step, name: str) -> str | None:
    """What it would mean, if an earlier task had done its work."""
    return _expected.get(step.run, {}).get((step.state.name, name))


class Image(NamedTuple):
    """`descriptor` as in an OCI index; `blobs` are (digest, size) of all it consists of, in the store at `root`."""

    root: str
    descriptor: dict[str, Any]
    blobs: list[tuple[str, int]]

    @property
    def told(self) -> dict[str, Any]:
        """What the target is told of it."""
        return {"descriptor": self.descriptor, "blobs": self.blobs}


def root() -> str:
    """$XDG_CACHE_HOME/shepherd/images or ~/.cache/shepherd/images."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "shepherd", "images")


def _store(place: str) -> Any:
    """The store at `place`; the runtime is target code, which has no types."""
    from shepherd.runtime.images.store import Store

    return Store(place)  # type: ignore[no-untyped-call]


def _digest(text: str) -> Any:
    from shepherd.runtime.images.digest import Digest

    return Digest(text)  # type: ignore[no-untyped-call]


async def archive(step: Step, path: str) -> Image:
    """The image in an archive, or in the folder of an OCI layout. Other hosts wait for it to be read, and find it."""
    async with step.run.reading:
        return await in_thread(_archive, path)


def _archive(path: str) -> Image:
    from shepherd.runtime.errors import RuntimeFailure

    try:
        return _known(path) or _read(path)
    except RuntimeFailure as error:
        raise ShepherdError(f"{path}: {error.message}", hint=error.hint) from None


def _note(path: str) -> str:
    """Where it is noted what an archive holds."""
    found = os.stat(path)
    what: list[Any] = [os.path.realpath(path), found.st_ino, found.st_size, found.st_mtime_ns]
    if stat.S_ISDIR(found.st_mode):  # a layout's index is replaced when its content is
        index = os.stat(os.path.join(path, "index.json"))
        what += [index.st_ino, index.st_size, index.st_mtime_ns]
    return _place(what)


def _place(what: list[Any]) -> str:
    """The file of a note about something; while it is there, so is the image."""
    return os.path.join(root(), "archives", hashlib.sha256(json.dumps(what).encode()).hexdigest() + ".json")


def _write_note(place: str, image: Image) -> None:
    from shepherd.runtime.images import files

    files.make_folder(os.path.dirname(place))
    content = json.dumps({"descriptor": image.descriptor, "blobs": image.blobs}).encode()
    files.replace(place, content)


def _known(path: str) -> Image | None:
    note = _note(path)
    try:
        with open(note, "rb") as file:
            found = json.load(file)
        image = Image(root(), found["descriptor"], [(digest, size) for digest, size in found["blobs"]])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    store = _store(root())
    if not all(store.has(_digest(digest)) for digest, _size in image.blobs):
        return None
    os.utime(note)
    return image


def _read(path: str) -> Image:
    from shepherd.runtime.images import archive as archives

    store = _store(root())
    with store.lease() as lease:
        found = {descriptor.digest: descriptor for _name, descriptor in archives.load(store, path, lease)}
        if len(found) != 1:
            raise ShepherdError(f"{path}: has {len(found)} images, and one is wanted", hint="save it alone")
        descriptor = next(iter(found.values()))
        image = Image(root(), _plain(descriptor), list(dict(_blobs(store, descriptor)).items()))
        _write_note(_note(path), image)
    _forget(store)
    return image


def named(root: str, name: str) -> Image:
    """The image of that name in the store at `root`."""
    from shepherd.runtime.images import image

    store = _store(root)
    descriptor = image.find_descriptor(store, name)
    return Image(root, _plain(descriptor), list(dict(_blobs(store, descriptor)).items()))


def _plain(descriptor: Any) -> dict[str, Any]:
    """Without the names that an archive gave it."""
    return {name: value for name, value in descriptor.as_json().items() if name != "annotations"}


def _blobs(store: Any, descriptor: Any, platform: Any = None) -> Iterator[tuple[str, int]]:
    """Of an image, those that name others first; of an index, what is for the platform, or what the store has of it."""
    from shepherd.runtime.images import manifest as manifests

    yield str(descriptor.digest), descriptor.size
    document = manifests.read(store.read(descriptor.digest), descriptor.media_type, str(descriptor.digest))
    if isinstance(document, manifests.Index):
        for one in document.manifests if platform is None else [document.choose(platform)]:
            if one.media_type in manifests.ACCEPTED and store.has(one.digest):
                yield from _blobs(store, one, platform)
        return
    for one in [document.config, *document.layers]:
        yield str(one.digest), one.size


# From a registry


async def pulled(step: Step, platform: str) -> Image:
    """What the registry has under the step's `pull`, for a platform; asked once in a run. Raises ShepherdError."""
    args = step.args
    key = (str(args["pull"]), platform)
    async with step.run.reading:
        known = _pulled.setdefault(step.run, {})
        if key not in known:
            authorities = step.find("files", str(args["tls_ca"])) if args["tls_ca"] is not None else None
            known[key] = await in_thread(_pull, args, platform, authorities)
    return known[key]


def _pull(args: dict[str, Any], platform: str, authorities: str | None) -> Image:
    import argparse

    from shepherd.runtime.cli import registry_options
    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import credentials, manifest, pull, reference

    name = str(args["pull"])
    parser = argparse.ArgumentParser()
    registry_options.add(parser)  # target code has no types
    words = ["--insecure", name.partition("/")[0]] if args["insecure"] else []
    options = parser.parse_args([*words, *(["--tls-ca", authorities] if authorities else [])])
    given = (args["username"], args["password"]) if args["username"] is not None else None
    store = _store(root())
    try:
        wanted = manifest.Platform.parse(platform)  # type: ignore[no-untyped-call]
        with store.lease() as lease:
            descriptor = pull.pull(
                store,
                reference.parse(name),
                registry_options.settings(options),  # type: ignore[no-untyped-call]
                lease,
                credentials.Credentials(None, given),  # type: ignore[no-untyped-call]
                wanted,
            )
            image = Image(root(), _plain(descriptor), list(dict(_blobs(store, descriptor, wanted)).items()))
            _write_note(_place(["pull", name, platform]), image)
    except RuntimeFailure as error:
        raise ShepherdError(f"could not fetch {name}: {error.message}", hint=error.hint) from None
    _forget(store)
    return image


# From another host


async def fetched(link: Link, folder: str, told: dict[str, Any]) -> Image:
    """An image that a host has in the store at `folder`: the blobs that are not here yet are got from there.

    `told` as in `Image.told`. One that came in part is gone on with. Raises ShepherdError.
    """
    from shepherd.runtime.errors import RuntimeFailure
    from shepherd.runtime.images import manifest, names

    store = _store(root())
    image = Image(root(), dict(told["descriptor"]), [(str(digest), int(size)) for digest, size in told["blobs"]])
    try:
        with store.lease() as lease:
            for digest, size in image.blobs:
                await _fetch(link, folder, store, lease, _digest(digest), size)
            made: Any = manifest.Descriptor
            kept: Any = names.Names
            kept(store).keep(made.read(image.descriptor, "what the build host says"))
            _write_note(_place(["built", image.descriptor["digest"]]), image)
    except RuntimeFailure as error:
        raise ShepherdError(f"{link.host}: {error.message}", hint=error.hint) from None
    await in_thread(_forget, store)
    return image


async def _fetch(link: Link, folder: str, store: Any, lease: Any, digest: Any, size: int) -> None:
    from shepherd.runtime.images.store import Ingest

    lease.add(digest)
    made: Any = Ingest
    ingest = await in_thread(made, store, digest, size)  # it waits for another that is at it
    try:
        if not ingest.present:
            await in_thread(ingest.resume if ingest.offset else ingest.start_again)
            path = os.path.join(folder, "blobs", digest.algorithm, digest.hex)
            await link.get(path, ingest.write, offset=ingest.offset)
            await in_thread(ingest.commit, lease)
    finally:
        ingest.close()


def _forget(store: Any) -> None:
    """Images that no play has asked for lately."""
    import time

    from shepherd.runtime.images import collect
    from shepherd.runtime.images.names import Names

    folder, kept = os.path.join(root(), "archives"), set()
    for entry in os.scandir(folder):
        if entry.stat().st_mtime < time.time() - DAYS * 86400:
            os.unlink(entry.path)
            continue
        with open(entry.path, "rb") as file:
            kept.add(json.load(file)["descriptor"]["digest"])
    names: Any = Names
    names(store).remove(lambda _name, one: str(one.digest) not in kept)
    collect.collect(store)


# On the wire


class Pieces:
    """What goes into a request, as a binary file that can be read twice: slices of blobs that are mapped."""

    def __init__(self, slices: list[memoryview]) -> None:
        self._slices = slices
        self._place = (0, 0)  # which slice, and where in it

    def seek(self, offset: int) -> None:
        """To the beginning, which is the only place there is."""
        self._place = (offset, 0)

    def read(self, size: int) -> bytes:
        found, (number, start) = bytearray(), self._place
        while number < len(self._slices) and len(found) < size:
            slice_ = self._slices[number][start : start + size - len(found)]
            found += slice_
            start += len(slice_)
            if start == len(self._slices[number]):
                number, start = number + 1, 0
        self._place = (number, start)
        return bytes(found)


def pieces(run: Run, image: Image, needed: list[list[Any]]) -> tuple[list[list[Any]], BinaryIO]:
    """What goes into the next request, of blobs that are needed from an offset on: [[digest, offset, length]], content.

    `needed` is the target's list of [digest, offset]. Raises ShepherdError where it asks for what the image has not.
    """
    store, sizes = _store(image.root), dict(image.blobs)
    parts, content, room = [], [], PIECE
    for digest, offset in needed:
        if digest not in sizes or not 0 <= offset <= sizes[digest]:
            raise ShepherdError(f"the target asks for {digest} from {offset} on, which is nothing of the image")
        length = min(room, sizes[digest] - offset)
        parts.append([digest, offset, length])
        content.append(memoryview(_map(run, store.blob_path(_digest(digest)), offset, length))[offset:][:length])
        room -= length
        if room <= 0:
            break
    return parts, cast("BinaryIO", Pieces(content))  # of which a link reads, and nothing else


def _map(run: Run, path: str, offset: int, length: int) -> mmap.mmap | bytes:
    """The content of a blob, whose bytes from `offset` on are wanted soon."""
    known = _mapped.setdefault(run, {})
    found = known.get(path)
    if found is None:
        if len(known) >= MAPPED:
            known.pop(next(iter(known)))  # the oldest; a request that has slices of it keeps it as long as it needs
        with open(path, "rb") as file:
            empty = not os.fstat(file.fileno()).st_size  # which cannot be mapped
            found = known[path] = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if isinstance(found, mmap.mmap) and length and hasattr(mmap, "MADV_WILLNEED"):
        start = offset - offset % mmap.PAGESIZE
        found.madvise(mmap.MADV_WILLNEED, start, offset + length - start)
    return found
