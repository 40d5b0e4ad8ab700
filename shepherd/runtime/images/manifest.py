"""Indexes, manifests and configurations of images.

The forms are those of the OCI image specification (image-index.md, manifest.md, config.md) and Docker's image manifest
version 2, schema 2, which say the same in other words. Schema 1 is refused: it names layers that cannot be verified.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import documents
from shepherd.runtime.images.digest import Digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

INDEXES = (OCI_INDEX, DOCKER_INDEX)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
CONFIGS = (OCI_CONFIG, DOCKER_CONFIG)
ACCEPTED = INDEXES + MANIFESTS

# Media types of layers. How one is compressed is seen in its bytes (compression.py), which the diff id verifies; those
# that are not distributable may be away from the registry (urls).
_OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
LAYERS = frozenset(
    [base + suffix for base in (OCI_LAYER, _OCI_FOREIGN) for suffix in ("", "+gzip", "+zstd")]
    + [base + suffix for base in (_DOCKER_LAYER, _DOCKER_FOREIGN) for suffix in ("", ".gzip", ".zstd")]
)

DEEPEST_INDEX = 3
MOST_LAYERS = 500  # OVL_MAX_STACK of the kernel's fs/overlayfs/params.h
LARGEST_CONFIG = 8 << 20
LARGEST_BLOB = 1 << 40

# uname's machine → (architecture, variant), in the words of Go's GOARCH as the specification asks for
_MACHINES = {
    "x86_64": ("amd64", None),
    "i686": ("386", None),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "ppc64le": ("ppc64le", None),
    "riscv64": ("riscv64", None),
    "s390x": ("s390x", None),
    "loongarch64": ("loong64", None),
}


class Platform:
    """`os/architecture[/variant]`. An arm without a variant is v7, an arm64 without one v8 (image-index.md)."""

    __slots__ = ("architecture", "system", "variant")
    _IMPLIED = {"arm": "v7", "arm64": "v8"}

    def __init__(self, system, architecture, variant=None):
        self.system = system
        self.architecture = architecture
        self.variant = variant or self._IMPLIED.get(architecture)

    @classmethod
    def parse(cls, text):
        parts = text.split("/")
        if not 2 <= len(parts) <= 3 or not all(parts):
            raise RuntimeFailure("not a platform: %s" % ascii(text)[:80], "it has the form OS/ARCHITECTURE[/VARIANT]")
        return cls(*parts)

    @classmethod
    def of_this_machine(cls):
        machine = os.uname().machine
        return cls("linux", *_MACHINES.get(machine, (machine, None)))

    def __str__(self):
        shown = self.variant if self.variant != self._IMPLIED.get(self.architecture) else None
        return "/".join(part for part in (self.system, self.architecture, shown) if part)

    def suits(self, wanted) -> int:
        """How well a machine of the platform `wanted` runs what is for this one: 0 is not at all, more is better."""
        if (self.system, self.architecture) != (wanted.system, wanted.architecture):
            return 0
        if self.variant == wanted.variant:
            return 100
        if self.architecture == "arm":
            ours, theirs = _number(self.variant), _number(wanted.variant)
            return ours if 0 < ours < theirs else 0  # an older arm's program runs on a newer one
        return 1 if self.variant is None else 0


def _number(variant):
    return int(variant[1:]) if variant and variant[1:].isdigit() and len(variant) < 4 else 0


class Descriptor:
    """What a document says about a blob: `media_type`, `digest`, `size`, `annotations`, `platform`, `urls`."""

    __slots__ = ("annotations", "digest", "media_type", "platform", "size", "urls")

    def __init__(self, media_type, digest, size, annotations=None, platform=None, urls=()):
        self.media_type = media_type
        self.digest = digest
        self.size = size
        self.annotations = annotations or {}
        self.platform = platform
        self.urls = urls

    @classmethod
    def read(cls, found, what):
        if not isinstance(found, dict):
            raise RuntimeFailure("%s has a descriptor that is not an object" % what)
        media_type, size = found.get("mediaType"), found.get("size")
        if not isinstance(media_type, str) or not media_type:
            raise RuntimeFailure("%s has a descriptor without mediaType" % what)
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST_BLOB:
            raise RuntimeFailure("%s has a descriptor without a possible size" % what)
        annotations = _texts(found.get("annotations"), what, "annotations")
        urls = found.get("urls") or ()
        if not isinstance(urls, (list, tuple)) or not all(isinstance(url, str) for url in urls):
            raise RuntimeFailure("%s has a descriptor whose urls are not a list of text" % what)
        platform = None
        if found.get("platform") is not None:
            platform = _platform(found["platform"], what)
        return cls(media_type, Digest(found.get("digest")), size, annotations, platform, tuple(urls))

    def as_json(self):
        found = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.annotations:
            found["annotations"] = self.annotations
        if self.urls:
            found["urls"] = list(self.urls)
        if self.platform is not None:
            found["platform"] = {"os": self.platform.system, "architecture": self.platform.architecture}
            if self.platform.variant:
                found["platform"]["variant"] = self.platform.variant
        return found

    def check_layer(self) -> None:
        """Raises RuntimeFailure where this is no layer that can be unpacked."""
        if self.media_type not in LAYERS:
            raise RuntimeFailure("layer %s has the unknown media type %s" % (self.digest, ascii(self.media_type)[:100]))


class Index:
    """`manifests`: a descriptor for each platform."""

    def __init__(self, media_type, manifests, annotations):
        self.media_type = media_type
        self.manifests = manifests
        self.annotations = annotations

    def choose(self, wanted) -> Descriptor:
        """The manifest for a machine of the platform `wanted`; of equally good ones the first."""
        best, choice = 0, None
        for descriptor in self.manifests:
            if descriptor.media_type not in ACCEPTED:
                continue
            # an index of one image need not name its platform; the configuration does
            points = 1 if descriptor.platform is None else descriptor.platform.suits(wanted)
            if points > best:
                best, choice = points, descriptor
        if choice is None:
            there = sorted({str(one.platform) for one in self.manifests if one.platform is not None})
            raise RuntimeFailure("the image is not there for %s" % wanted, "it is for: %s" % ", ".join(there))
        return choice


class Manifest:
    """`config` and `layers` (from the lowest up): descriptors."""

    def __init__(self, media_type, config, layers, annotations):
        self.media_type = media_type
        self.config = config
        self.layers = layers
        self.annotations = annotations

    def as_json(self):
        found = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.as_json(),
            "layers": [layer.as_json() for layer in self.layers],
        }
        if self.annotations:
            found["annotations"] = self.annotations
        return found


class Config:
    """`platform`, `diff_ids` (digests of the uncompressed layers), and the whole `document` as it was written."""

    def __init__(self, document, platform, diff_ids):
        self.document = document
        self.platform = platform
        self.diff_ids = diff_ids

    @property
    def settings(self):
        """What a container starts with: Env, Entrypoint, Cmd, User, WorkingDir, Labels, … (config.md, "config")."""
        return self.document.get("config") or {}

    @property
    def history(self):
        return self.document.get("history") or []


def read(data: bytes, media_type=None, what="manifest"):
    """The Index or Manifest in `data`, which its descriptor or its sender says is of `media_type`."""
    found = documents.read(data, what)
    said = found.get("mediaType")
    if said is not None and not isinstance(said, str):
        raise RuntimeFailure("%s has a mediaType that is not text" % what)
    if "manifests" in found and ("layers" in found or "config" in found):
        raise RuntimeFailure("%s is an index and an image at once" % what, "it may have been made to mislead")
    if found.get("schemaVersion") != 2:
        if found.get("schemaVersion") == 1 or "fsLayers" in found:
            raise RuntimeFailure("%s has Docker's old form, schema 1" % what, "push it again with a newer client")
        raise RuntimeFailure("%s has no schemaVersion 2" % what)
    kind = said or media_type or (OCI_INDEX if "manifests" in found else OCI_MANIFEST)
    if media_type is not None and media_type != kind:
        raise RuntimeFailure("%s is called %s and calls itself %s" % (what, ascii(media_type), ascii(said)))
    if (kind in INDEXES) != ("manifests" in found) or kind not in ACCEPTED:
        raise RuntimeFailure("%s is not what its media type says: %s" % (what, ascii(kind)[:100]))
    annotations = _texts(found.get("annotations"), what, "annotations")
    if kind in INDEXES:
        return Index(kind, _descriptors(found["manifests"], what), annotations)
    layers = _descriptors(found.get("layers"), what)
    if len(layers) > MOST_LAYERS:
        raise RuntimeFailure("%s has %d layers; %d are possible" % (what, len(layers), MOST_LAYERS))
    return Manifest(kind, Descriptor.read(found.get("config"), what), layers, annotations)


def read_config(data: bytes, manifest: Manifest, what="configuration") -> Config:
    """The configuration of the image, checked to have a diff id for each layer of the manifest."""
    if manifest.config.media_type not in CONFIGS:
        kind = ascii(manifest.config.media_type)[:100]
        raise RuntimeFailure("not an image but an artifact: its configuration is %s" % kind)
    config = read_any_config(data, what)
    if len(config.diff_ids) != len(manifest.layers):
        raise RuntimeFailure(
            "%s speaks of %d layers, its manifest of %d" % (what, len(config.diff_ids), len(manifest.layers))
        )
    return config


def read_any_config(data: bytes, what="configuration") -> Config:
    document = documents.read(data, what, LARGEST_CONFIG)
    rootfs = document.get("rootfs")
    if not isinstance(rootfs, dict) or rootfs.get("type") != "layers":
        raise RuntimeFailure("%s has no rootfs of layers" % what)
    diff_ids = rootfs.get("diff_ids")
    if diff_ids is None:
        diff_ids = []
    if not isinstance(diff_ids, list):
        raise RuntimeFailure("%s has diff_ids that are not a list" % what)
    settings, history = document.get("config"), document.get("history")
    if settings is not None and not isinstance(settings, dict):
        raise RuntimeFailure("%s has a config that is not an object" % what)
    if history is not None and not (isinstance(history, list) and all(isinstance(one, dict) for one in history)):
        raise RuntimeFailure("%s has a history that is not a list of objects" % what)
    return Config(document, _platform(document, what), [Digest(text) for text in diff_ids])


def _descriptors(found, what):
    if not isinstance(found, list):
        raise RuntimeFailure("%s has no list of %s" % (what, "descriptors"))
    return [Descriptor.read(one, what) for one in found]


def _platform(found, what):
    if not isinstance(found, dict):
        raise RuntimeFailure("%s has a platform that is not an object" % what)
    parts = [found.get(key) or "" for key in ("os", "architecture", "variant")]
    if not all(isinstance(part, str) for part in parts):
        raise RuntimeFailure("%s has a platform that is not text" % what)
    return Platform(*parts)


def _texts(found, what, name):
    """An object of text by text; what else is in it is left out, as it has no meaning for us."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise RuntimeFailure("%s has %s that are not an object" % (what, name))
    return {key: value for key, value in found.items() if isinstance(value, str)}
