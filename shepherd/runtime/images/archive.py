"""Images out of files: an OCI image layout, or what `docker save` writes; a tar, compressed or not, or a folder.

A tar is read once, from its beginning to its end, and may come from a pipe: what is in it goes into the store as it
comes, verified, and what it means is known when its last entry was read. Nothing of it has a name before that, so that
an archive cut short leaves nothing but blobs for the next collection.
"""

import os
import posixpath
import stat

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import compression, documents, reference, tar_reader
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.manifest import (
    DEEPEST_INDEX,
    LARGEST_CONFIG,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
)
from shepherd.runtime.images.names import NAME, Names

CONTAINERD_NAME = "io.containerd.image.name"  # the whole name, where the other annotation has the tag alone
_MEDIA_TYPES = {"plain": OCI_LAYER, "gzip": OCI_LAYER + "+gzip", "zstd": OCI_LAYER + "+zstd"}
_MOST_DOCUMENTS = 64 << 20  # bytes of JSON kept in memory until the archive is read
_MOST_MEMBERS = 100000


def load(store, source, lease, name=None) -> list:
    """Take the images of `source`, a path or a binary file, into the store.

    Returns (Reference or None, Descriptor) of each; the store's index has them. `name` is given to an archive's only
    image instead of what it is called there.
    """
    contents = _Contents(store, lease)
    if isinstance(source, str) and os.path.isdir(source):
        _read_folder(contents, source)
    elif isinstance(source, str):
        with _opened(source) as file:
            _read_tar(contents, file)
    else:
        _read_tar(contents, source)
    found = contents.images()
    if name is not None:
        if len(found) != 1:
            raise RuntimeFailure("the archive has %d images, a name is for one" % len(found))
        found = [(name, found[0][1])]
    names = Names(store)
    for called, descriptor in found:
        if called is None:
            names.keep(descriptor)
        else:
            names.set(called, descriptor)
    return found


def _opened(path):
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise RuntimeFailure("cannot read %s: %s" % (path, error.strerror))


def _read_tar(contents, file):
    _, source = compression.pieces(file)
    source = compression.pump(source)
    stream = tar_reader.Stream(source)
    try:
        for count, entry in enumerate(tar_reader.entries(stream)):
            if count >= _MOST_MEMBERS:
                raise RuntimeFailure("it has more than %d members" % _MOST_MEMBERS)
            name = posixpath.normpath("/" + os.fsdecode(entry.name))[1:]
            if entry.kind == tar_reader.FILE:
                if entry.sparse is not None:
                    raise RuntimeFailure("%s is a sparse file" % ascii(name))
                contents.take(name, entry.stored, stream.parts(entry.stored))
            elif entry.kind == tar_reader.SYMLINK:
                target = os.path.join("/", os.path.dirname(name), os.fsdecode(entry.link))
                contents.links[name] = posixpath.normpath(target)[1:]
            elif entry.kind == tar_reader.LINK:
                contents.links[name] = posixpath.normpath("/" + os.fsdecode(entry.link))[1:]
        stream.drain()
    except tar_reader.Broken as error:
        raise RuntimeFailure("not an archive of images: %s" % error.message)
    finally:
        source.close()


def _read_folder(contents, path):
    """The files of a layout's folder, without following a link in it."""
    for folder, _, names, fd in os.fwalk(path, follow_symlinks=False):
        for name in sorted(names):
            inside = os.path.relpath(os.path.join(folder, name), path)
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                continue
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            with os.fdopen(opened, "rb", buffering=0) as file:
                contents.take(inside, found.st_size, iter(lambda file=file: file.read(compression.CHUNK), b""))


class _Contents:
    """What was found in an archive so far."""

    def __init__(self, store, lease):
        self._store = store
        self._lease = lease
        self._documents = {}  # name → bytes
        self._size = 0
        self._layers = {}  # name → Descriptor of a blob that was not called by its digest
        self.links = {}  # name → name

    def take(self, name, size, parts):
        """A file: its size, and its content, which need not be read to the end."""
        if name.startswith("blobs/"):
            _, algorithm, digits = (name + "//").split("/")[:3]
            digest = Digest("%s:%s" % (algorithm, digits))
            with self._store.ingest(digest, size, self._lease) as ingest:
                if not ingest.present:
                    ingest.start_again()
                    for part in parts:
                        ingest.write(part)
        elif name.endswith(".json") or name in ("repositories", "oci-layout"):
            self._size += size
            if self._size > _MOST_DOCUMENTS or size > LARGEST_CONFIG:
                raise RuntimeFailure("the archive has too much JSON: %s is %d bytes" % (ascii(name)[:200], size))
            self._documents[name] = b"".join(parts)
        elif name.endswith((".tar", ".tar.gz")):
            kind = None
            with self._store.ingest(None, size, self._lease) as ingest:
                for part in parts:
                    kind = kind or compression.kind_of(bytes(part[:4]))
                    ingest.write(part)
            self._layers[name] = Descriptor(_MEDIA_TYPES[kind or "plain"], ingest.digest, size)

    def images(self):
        if "index.json" in self._documents:
            return self._oci_images()
        if "manifest.json" in self._documents:
            return self._docker_images()
        raise RuntimeFailure(
            "not an archive of images: it has neither index.json nor manifest.json",
            "it should be an OCI image layout, or what `docker save` writes",
        )

    # OCI image layout

    def _oci_images(self):
        index = manifests.read(self._documents["index.json"], manifests.OCI_INDEX, "index.json")
        found = []
        for descriptor in index.manifests:
            if descriptor.media_type not in manifests.ACCEPTED:
                continue
            self._check(descriptor, 0)
            found.append((_name_of(descriptor), descriptor))
        if not found:
            raise RuntimeFailure("the archive has no image")
        return found

    def _check(self, descriptor, depth):
        """All blobs are there that the image consists of; of an index, those of one platform at least."""
        store = self._store
        if depth > DEEPEST_INDEX:
            raise RuntimeFailure("%s is an index of indexes of indexes" % descriptor.digest)
        what = "manifest %s" % descriptor.digest
        if not store.has(descriptor.digest):
            raise RuntimeFailure("the archive lacks the %s" % what)
        document = manifests.read(store.read(descriptor.digest), descriptor.media_type, what)
        if isinstance(document, Index):
            there = [one for one in document.manifests if store.has(one.digest)]
            there = [one for one in there if one.media_type in manifests.ACCEPTED]
            if not there:
                raise RuntimeFailure("the archive lacks all images of the index %s" % descriptor.digest)
            for one in there:
                self._lease.add(one.digest)
                self._check(one, depth + 1)
            return
        for one in [document.config] + document.layers:
            self._lease.add(one.digest)
            if not store.has(one.digest):
                raise RuntimeFailure("the archive lacks the blob %s" % one.digest)
            if store.size(one.digest) != one.size:
                raise RuntimeFailure("the blob %s has not the %d bytes it should have" % (one.digest, one.size))
        if document.config.media_type in manifests.CONFIGS:
            manifests.read_config(store.read(document.config.digest, LARGEST_CONFIG), document)

    # docker save

    def _docker_images(self):
        # the only JSON of these that is not an object: made one, so that the same checks hold
        data = b'{"images":' + self._documents["manifest.json"] + b"}"
        listed = documents.read(data, "manifest.json")["images"]
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed) or not listed:
            raise RuntimeFailure("manifest.json is not a list of images")
        found = []
        for one in listed:
            descriptor = self._docker_image(one)
            tags = one.get("RepoTags") or []
            if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
                raise RuntimeFailure("manifest.json has RepoTags that are not a list of text")
            found += [(reference.parse(tag), descriptor) for tag in tags] or [(None, descriptor)]
        return found

    def _docker_image(self, found):
        name, layers = found.get("Config"), found.get("Layers")
        if not isinstance(name, str) or not isinstance(layers, list) or not all(isinstance(one, str) for one in layers):
            raise RuntimeFailure("manifest.json has an image without Config and Layers")
        data = self._document(name)
        config = manifests.read_any_config(data, ascii(name)[1:-1])
        if len(layers) != len(config.diff_ids):
            raise RuntimeFailure("%s speaks of %d layers, manifest.json of %d" % (
                ascii(name)[1:-1], len(config.diff_ids), len(layers)))  # fmt: skip
        described = []
        for layer, diff_id in zip(layers, config.diff_ids):
            descriptor = self._layer(layer)
            if descriptor.media_type == OCI_LAYER and descriptor.digest != diff_id and diff_id.algorithm == "sha256":
                raise RuntimeFailure("layer %s is not the %s that the image says" % (ascii(layer), diff_id))
            described.append(descriptor)
        store, lease = self._store, self._lease
        stored = Descriptor(OCI_CONFIG, store.add(data, lease), len(data))
        document = documents.write(Manifest(OCI_MANIFEST, stored, described, {}).as_json())
        return Descriptor(OCI_MANIFEST, store.add(document, lease), len(document), platform=config.platform)

    def _followed(self, name):
        name = posixpath.normpath("/" + name)[1:]
        for _ in range(10):
            if name not in self.links:
                break
            name = self.links[name]
        return name

    def _document(self, name):
        name = self._followed(name)
        if name in self._documents:
            return self._documents[name]
        if name.startswith("blobs/"):
            return self._store.read(_digest_of(name), LARGEST_CONFIG)
        raise RuntimeFailure("the archive lacks %s" % ascii(name)[:200])

    def _layer(self, name):
        name = self._followed(name)
        if name in self._layers:
            return self._layers[name]
        if name.startswith("blobs/"):
            digest = _digest_of(name)
            with self._store.open(digest) as file:
                kind = compression.kind_of(file.read(4))
            return Descriptor(_MEDIA_TYPES[kind], digest, self._store.size(digest))
        raise RuntimeFailure("the archive lacks the layer %s" % ascii(name)[:200])


def _digest_of(name):
    _, algorithm, digits = (name + "//").split("/")[:3]
    return Digest("%s:%s" % (algorithm, digits))


def _name_of(descriptor):
    """The name an archive gives an image; a tag alone is no name."""
    text = descriptor.annotations.get(CONTAINERD_NAME)
    if text is None:
        text = descriptor.annotations.get(NAME)
        if text is None or ("/" not in text and ":" not in text):
            return None
    return reference.parse(text)
