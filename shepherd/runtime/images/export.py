"""Images into files: one tar that is an OCI image layout and what `docker load` reads at once, or one of the two alone.

The same images are the same bytes.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import compression, documents, files, tar_reader
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images.archive import CONTAINERD_NAME
from shepherd.runtime.images.manifest import OCI_INDEX, Descriptor
from shepherd.runtime.images.names import NAME
from shepherd.runtime.images.tar_writer import TarWriter

FORMS = ("both", "oci", "docker")
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def save(store, images, file, form="both") -> None:
    """Write the images, (Reference or None, Image) each, as a tar to the binary `file`.

    `docker` alone is the older way, with layers that are not compressed, for programs that know no other.
    """
    tar = TarWriter(file)
    if form == "docker":
        _save_docker(store, images, tar)
    else:
        if form == "both":
            _write(tar, "manifest.json", documents.write(_docker_manifest(images)))
        for name, data in _layout(images):
            _write(tar, name, data)
        for digest in _blobs(images):
            size = store.size(digest)
            tar.add(("blobs/%s/%s" % (digest.algorithm, digest.hex)).encode(), tar_reader.FILE, size=size)
            with store.open(digest) as blob:
                _copy(blob, tar, size)
    tar.close()


def save_folder(store, images, path) -> None:
    """Write the images as an OCI image layout into the new folder `path`."""
    try:
        os.mkdir(path)
        for digest in _blobs(images):
            place = os.path.join(path, "blobs", digest.algorithm, digest.hex)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with store.open(digest) as blob, open(place, "xb", buffering=0) as file:
                left = store.size(digest)
                while left > 0:
                    done = os.sendfile(file.fileno(), blob.fileno(), None, min(left, 1 << 30))
                    if not done:
                        raise RuntimeFailure("the blob %s is cut short" % digest)
                    left -= done
        for name, data in _layout(images):
            files.replace(os.path.join(path, name), data)
            os.chmod(os.path.join(path, name), 0o644)
    except FileExistsError:
        raise RuntimeFailure("%s is there already" % path)


def _layout(images):
    entries = []
    for name, image in images:
        one = image.manifest_descriptor
        annotations = {}
        if name is not None:
            annotations[CONTAINERD_NAME] = str(name)
            if name.tag:
                annotations[NAME] = name.tag
        entries.append(Descriptor(one.media_type, one.digest, one.size, annotations, image.config.platform).as_json())
    yield "oci-layout", _LAYOUT
    yield "index.json", documents.write({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def _blobs(images):
    found = {}
    for _, image in images:
        found[image.manifest_descriptor.digest] = None
        for descriptor in [image.manifest.config] + image.manifest.layers:
            found[descriptor.digest] = None
    return sorted(found)


def _grouped(images):
    """Each image once, with all its names."""
    found = {}
    for name, image in images:
        found.setdefault(image.manifest_descriptor.digest, (image, []))[1].append(name)
    return found.values()


def _docker_manifest(images):
    return [
        {
            "Config": _path(image.manifest.config.digest),
            "RepoTags": _tags(names),
            "Layers": [_path(layer.digest) for layer in image.manifest.layers],
        }
        for image, names in _grouped(images)
    ]


def _path(digest):
    return "blobs/%s/%s" % (digest.algorithm, digest.hex)


def _tags(names):
    return [name.with_tag(name.tag).familiar for name in names if name is not None and name.tag]


def _save_docker(store, images, tar):
    listed, written = [], set()
    for image, names in _grouped(images):
        config = "%s.json" % image.id.hex
        layers = []
        if config not in written:
            _write(tar, config, store.read(image.id, manifests.LARGEST_CONFIG))
            written.add(config)
        for descriptor, diff_id in zip(image.manifest.layers, image.config.diff_ids):
            name = "%s.tar" % diff_id.hex
            layers.append(name)
            if name not in written:
                _write_plain(store, tar, name, descriptor)
                written.add(name)
        listed.append({"Config": config, "RepoTags": _tags(names), "Layers": layers})
    _write(tar, "manifest.json", documents.write(listed))


def _write_plain(store, tar, name, descriptor):
    """A header has the size before the content has come: so the layer is uncompressed twice, and never on the disk."""
    size = 0
    for rest in (True, False):
        with store.open(descriptor.digest) as blob:
            for piece in compression.pieces(blob)[1]:
                if rest:
                    size += len(piece)
                else:
                    tar.write(piece)
        if rest:
            tar.add(name.encode(), tar_reader.FILE, size=size)
    tar.pad(size)


def _write(tar, name, data):
    tar.add_bytes(name.encode(), data)


def _copy(blob, tar, size):
    left = size
    while left:
        data = blob.read(min(left, 1 << 20))
        if not data:
            raise RuntimeFailure("a blob is cut short")
        tar.write(data)
        left -= len(data)
    tar.pad(size)
