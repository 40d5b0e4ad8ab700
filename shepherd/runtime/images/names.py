"""Which image a name means: the store's index.json (OCI image specification, image-index.md and annotations.md).

An image whose name went to another one stays in the index without a name until it is pruned.
"""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import documents, files
from shepherd.runtime.images.manifest import OCI_INDEX, Descriptor
from shepherd.runtime.images.reference import Reference, parse

NAME = "org.opencontainers.image.ref.name"
_LARGEST_INDEX = 64 << 20  # ours, and of all images


class Names:
    """The index of a store. Reading needs no lock, since it is replaced as a whole."""

    def __init__(self, store):
        self._store = store
        self._path = store.path("index.json")

    def all(self) -> list:
        """(Reference or None, Descriptor) of every image, in the order in which they were named."""
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return []
        found = documents.read(data, self._path, _LARGEST_INDEX)
        entries = found.get("manifests")
        if not isinstance(entries, list):
            raise RuntimeFailure("%s has no list of manifests" % self._path)
        return [(_name_of(one), one) for one in (Descriptor.read(entry, self._path) for entry in entries)]

    def of(self, digest) -> list:
        """The names of the image."""
        return [name for name, descriptor in self.all() if name is not None and descriptor.digest == digest]

    def get(self, reference: Reference):
        """The Descriptor of what the name means, or None. A digest in the name must be that of the image."""
        for name, descriptor in self.all():
            if name is not None and name.name == reference.name:
                if reference.digest is not None and descriptor.digest == reference.digest:
                    return descriptor
                if reference.digest is None and name.tag == reference.tag and name.digest is None:
                    return descriptor
        return None

    def set(self, reference: Reference, descriptor: Descriptor) -> None:
        """Let the name mean this image, which must be in the store. What it meant before keeps its other names."""
        with self._store.lock():
            if not self._store.has(descriptor.digest):
                raise RuntimeFailure("the image %s is not here any more" % descriptor.digest)
            entries = self.all()
            kept = [(name, one) for name, one in entries if name != reference]
            before = [one for name, one in entries if name == reference]
            kept = [(name, one) for name, one in kept if name is not None or one.digest != descriptor.digest]
            for one in before:
                if one.digest != descriptor.digest and all(other.digest != one.digest for _, other in kept):
                    kept.append((None, one))
            self._write(kept + [(reference, descriptor)])

    def keep(self, descriptor: Descriptor) -> None:
        """Have the image without a name, if it has none."""
        with self._store.lock():
            entries = self.all()
            if all(one.digest != descriptor.digest for _, one in entries):
                self._write(entries + [(None, descriptor)])

    def remove(self, gone) -> list:
        """Take away the entries for which `gone(name, descriptor)` is true, and return them."""
        with self._store.lock():
            entries = self.all()
            taken = [entry for entry in entries if gone(*entry)]
            if taken:
                self._write([entry for entry in entries if entry not in taken])
            return taken

    def _write(self, entries):
        found = []
        for name, one in entries:
            annotations = {key: value for key, value in one.annotations.items() if key != NAME}
            if name is not None:
                annotations[NAME] = str(name)
            found.append(Descriptor(one.media_type, one.digest, one.size, annotations, one.platform).as_json())
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        files.replace(self._path, documents.write(index))


def _name_of(descriptor):
    text = descriptor.annotations.get(NAME)
    if text is None:
        return None
    try:
        return parse(text)
    except RuntimeFailure:
        return None  # another program's index, with names of another kind
