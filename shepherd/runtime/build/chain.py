"""Layers upon layers: what a stage's files are, up to a step."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import documents, layers
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images.image import Image
from shepherd.runtime.images.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Config, Descriptor, Manifest


class Chain:
    """`layers` are (Descriptor, diff id), from the lowest up; `created` is when the last one came to be (RFC 3339)."""

    def __init__(self, layers=(), created=None):
        self.layers = tuple(layers)
        self.created = created

    @classmethod
    def of(cls, image):
        """The layers of an image in the store."""
        found = [(_as_oci(one), diff_id) for one, diff_id in zip(image.manifest.layers, image.config.diff_ids)]
        created = image.config.document.get("created")
        return cls(found, created if isinstance(created, str) else None)

    @property
    def diff_ids(self):
        return [diff_id for _, diff_id in self.layers]

    @property
    def key(self):
        """The same for the same files: the chain id (config.md, "Layer ChainID")."""
        return layers.chain_ids(self.diff_ids)[-1].hex if self.layers else "scratch"

    def plus(self, more):
        """With the layers of another chain on top."""
        return Chain(self.layers + more.layers, more.created or self.created)

    def image(self, store) -> Image:
        """As the store unpacks it."""
        manifest = Manifest(OCI_MANIFEST, None, [one for one, _ in self.layers], {})
        return Image(store, None, None, manifest, Config({}, None, self.diff_ids))

    def save(self, store, lease):
        """The digest of a manifest in the store that names nothing but these layers; they are leased with it."""
        config = {
            "architecture": "",
            "os": "linux",
            "created": self.created,
            "rootfs": {"type": "layers", "diff_ids": [str(one) for one in self.diff_ids]},
        }
        if self.created is None:
            del config["created"]
        data = documents.write(config)
        about = Descriptor(OCI_CONFIG, store.add(data, lease), len(data))
        manifest = Manifest(OCI_MANIFEST, about, [one for one, _ in self.layers], {})
        return store.add(documents.write(manifest.as_json()), lease)


def load(store, digest, lease):
    """The Chain whose manifest this is; None where it is not whole any more. It is leased first."""
    lease.add(digest)
    try:
        manifest = manifests.read(store.read(digest), OCI_MANIFEST)
        config = manifests.read_config(store.read(manifest.config.digest), manifest)
    except RuntimeFailure:
        return None
    if not all(store.has(one.digest) for one in manifest.layers):
        return None
    return Chain(zip(manifest.layers, config.diff_ids), config.document.get("created"))


def _as_oci(descriptor):
    """Docker's names of the same things are none in an OCI manifest."""
    for start, kind in (
        ("application/vnd.docker.image.rootfs.diff.tar", OCI_LAYER),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar", OCI_LAYER),
    ):
        if descriptor.media_type.startswith(start):
            rest = descriptor.media_type[len(start) :].replace(".", "+")
            return Descriptor(
                kind + rest, descriptor.digest, descriptor.size, descriptor.annotations, None, descriptor.urls
            )
    return descriptor
