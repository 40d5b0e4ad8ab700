"""An image in the store: what a name or an id means, for one platform."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images import reference
from shepherd.runtime.images.digest import HEX, Digest
from shepherd.runtime.images.manifest import DEEPEST_INDEX, LARGEST_CONFIG, Descriptor, Index, Platform
from shepherd.runtime.images.names import Names

_ID = "sha256:"  # may stand before the beginning of an id


class Image:
    """`descriptor` is what the name means, perhaps an index; `manifest_descriptor`, `manifest` and `config` are of the
    one platform. `id` is the digest of the configuration, as Docker has it."""

    def __init__(self, store, descriptor, manifest_descriptor, manifest, config):
        self.store = store
        self.descriptor = descriptor
        self.manifest_descriptor = manifest_descriptor
        self.manifest = manifest
        self.config = config

    @property
    def id(self):
        return self.manifest.config.digest

    @property
    def size(self):
        """Bytes of its blobs, as they are kept and sent."""
        return self.manifest.config.size + sum(layer.size for layer in self.manifest.layers)


def read(store, descriptor: Descriptor, platform=None) -> Image:
    """The image a descriptor is of. Of an index, the one for `platform`, or for this machine."""
    found = resolve(store, descriptor, platform)
    document = manifests.read(store.read(found.digest), found.media_type, "manifest %s" % found.digest)
    config = manifests.read_config(store.read(document.config.digest, LARGEST_CONFIG), document)
    return Image(store, descriptor, found, document, config)


def resolve(store, descriptor: Descriptor, platform=None) -> Descriptor:
    """The descriptor of the manifest, through as many indexes as there may be."""
    platform = platform or Platform.of_this_machine()
    for _ in range(DEEPEST_INDEX):
        document = manifests.read(store.read(descriptor.digest), descriptor.media_type, str(descriptor.digest))
        if not isinstance(document, Index):
            return descriptor
        descriptor = document.choose(platform)
    raise RuntimeFailure("%s is an index of indexes of indexes" % descriptor.digest)


def find(store, text: str, platform=None) -> Image:
    """The image `text` means: a name, or the beginning of an id or of a digest. Raises RuntimeFailure."""
    return read(store, find_descriptor(store, text), platform)


def find_descriptor(store, text: str) -> Descriptor:
    names = Names(store)
    try:
        wanted = reference.parse(text)
    except RuntimeFailure:
        if _part_of_id(text) is None:
            raise
        wanted = None
    if wanted is not None:
        found = names.get(wanted)
        if found is not None:
            return found
        if wanted.digest is not None:
            return _by_digest(store, Digest(wanted.digest), text)
    part = _part_of_id(text)
    found = {one.digest: one for one in _by_id(store, names, part)} if part else {}
    if len(found) > 1:
        raise RuntimeFailure("more than one image has an id that begins with %s" % text, "give more of it")
    if found:
        return found.popitem()[1]
    raise RuntimeFailure("no such image: %s" % reference.shown(text).strip("'"), "see: shepherd-runtime images")


def _part_of_id(text):
    """The digits, where it may be an id or the beginning of one."""
    digits = text[len(_ID) :] if text.startswith(_ID) else text
    return digits if 2 <= len(digits) <= 64 and HEX.issuperset(digits) else None


def _by_digest(store, digest, text):
    """What is here under no name any more, but needed by a container: `app@sha256:…`."""
    if not store.has(digest):
        raise RuntimeFailure("no such image: %s" % reference.shown(text).strip("'"), "see: shepherd-runtime images")
    document = manifests.read(store.read(digest), None, str(digest))
    return Descriptor(document.media_type, digest, store.size(digest))


def _by_id(store, names, start):
    for _, descriptor in names.all():
        if descriptor.digest.hex.startswith(start):
            yield descriptor
            continue
        try:
            if read(store, descriptor).id.hex.startswith(start):
                yield descriptor
        except RuntimeFailure:
            continue  # of another platform, or damaged: it can be found by its digest
