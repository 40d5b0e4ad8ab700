"""An image of a container: its image's layers, and one more of what it changed."""

from shepherd.runtime.containers import changes, clock
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import diff, documents, image
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.store import Store

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_KEPT = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)


def commit(record, name=None, author: str = "", message: str = "", changed=None) -> str:
    """The digest of the new image's configuration. `name` is a Reference; `changed` fields of its configuration."""
    store = Store(record.folders.root)
    with store.lease() as lease:
        manifest = Digest(record.config["Manifest"])
        lease.add(manifest)
        base = image.read(store, Descriptor(None, manifest, store.size(manifest)))
        layer, diff_id = _layer(store, record, lease)
        document = dict(base.config.document)
        settings = {key: value for key, value in record.config["Config"].items() if key in _KEPT and value}
        settings.update(changed or {})
        now = clock.stamp()
        document.update(created=now, author=author, config=settings)
        document["rootfs"] = {"type": "layers", "diff_ids": [str(one) for one in base.config.diff_ids] + [diff_id]}
        step = {"created": now, "created_by": " ".join(settings.get("Cmd") or []), "comment": message}
        document["history"] = (list(base.config.history) or [{} for _ in base.manifest.layers]) + [step]
        data = documents.write(document)
        config = Descriptor(OCI_CONFIG, store.add(data, lease), len(data))
        made = Manifest(OCI_MANIFEST, config, list(base.manifest.layers) + [layer], {})
        data = documents.write(made.as_json())
        descriptor = Descriptor(OCI_MANIFEST, store.add(data, lease), len(data), platform=base.config.platform)
        if name is None:
            Names(store).keep(descriptor)
        else:
            Names(store).set(name, descriptor)
        return str(config.digest)


def _layer(store, record, lease):
    """(its Descriptor, its diff id)"""
    import gzip
    import hashlib

    with store.ingest(None, None, lease) as ingest:
        hasher = hashlib.sha256()
        packer = gzip.GzipFile("", "wb", 6, _Writer(ingest), mtime=0)
        try:
            diff.write_upper(record.path("upper"), _Both(packer, hasher), skip=changes.skipper(record))
        except OSError as error:
            raise RuntimeFailure("cannot read what container %s changed: %s" % (record.name, error.strerror)) from None
        packer.close()
    return Descriptor(_LAYER, ingest.digest, ingest.offset), "sha256:" + hasher.hexdigest()


class _Writer:
    """An Ingest as a file."""

    def __init__(self, ingest):
        self.write = ingest.write

    def flush(self):
        """Nothing waits here."""


class _Both:
    """What is written goes to two."""

    def __init__(self, file, hasher):
        self._file = file
        self._hasher = hasher

    def write(self, data):
        self._hasher.update(data)
        self._file.write(data)
