"""Images on the controller: out of archives into a store of its own, from which the layers that hosts lack are sent.

An archive is read once, whatever the number of hosts and of plays: what it was found to hold is kept beside the store,
under the archive's path, size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from shepherd.errors import ShepherdError
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.engine.run import Run
    from shepherd.engine.step import Step

PIECE = 16 * 1024 * 1024  # bytes in a request: what a broken connection costs at most
DAYS = 30  # that an image is kept which no play asks for

# In check mode, what names would mean by now: (host, name) → digest. Later tasks of a run say what they would do then.
_expected: WeakKeyDictionary[Run, dict[tuple[str, str], str]] = WeakKeyDictionary()


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
    return os.path.join(root(), "archives", hashlib.sha256(json.dumps(what).encode()).hexdigest() + ".json")


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
    from shepherd.runtime.images import files

    store = _store(root())
    with store.lease() as lease:
        found = {descriptor.digest: descriptor for _name, descriptor in archives.load(store, path, lease)}
        if len(found) != 1:
            raise ShepherdError(f"{path}: has {len(found)} images, and one is wanted", hint="save it alone")
        descriptor = next(iter(found.values()))
        image = Image(root(), _plain(descriptor), list(dict(_blobs(store, descriptor)).items()))
        files.make_folder(os.path.join(root(), "archives"))
        files.replace(_note(path), json.dumps({"descriptor": image.descriptor, "blobs": image.blobs}).encode())
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


def _blobs(store: Any, descriptor: Any) -> Iterator[tuple[str, int]]:
    """Of an image, those that name others first; of an index, what the store has of it."""
    from shepherd.runtime.images import manifest as manifests

    yield str(descriptor.digest), descriptor.size
    document = manifests.read(store.read(descriptor.digest), descriptor.media_type, str(descriptor.digest))
    if isinstance(document, manifests.Index):
        for one in document.manifests:
            if one.media_type in manifests.ACCEPTED and store.has(one.digest):
                yield from _blobs(store, one)
        return
    for one in [document.config, *document.layers]:
        yield str(one.digest), one.size


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


def pieces(image: Image, needed: list[list[Any]]) -> tuple[list[list[Any]], bytes]:
    """What goes into the next request, of blobs that are needed from an offset on: [[digest, offset, length]], content.

    `needed` is the target's list of [digest, offset]. Raises ShepherdError where it asks for what the image has not.
    """
    store, sizes = _store(image.root), dict(image.blobs)
    parts, content, room = [], [], PIECE
    for digest, offset in needed:
        if digest not in sizes or not 0 <= offset <= sizes[digest]:
            raise ShepherdError(f"the target asks for {digest} from {offset} on, which is nothing of the image")
        with open(store.blob_path(_digest(digest)), "rb") as file:
            file.seek(offset)
            data = file.read(room)
        parts.append([digest, offset, len(data)])
        content.append(data)
        room -= len(data)
        if room <= 0:
            break
    return parts, b"".join(content)
