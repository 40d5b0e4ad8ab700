"""An image from a registry into the store."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images import room
from shepherd.runtime.images.digest import CHUNK, Digest
from shepherd.runtime.images.manifest import DEEPEST_INDEX, LARGEST_CONFIG, Descriptor, Index, Platform
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.registry import Repository
from shepherd.runtime.images.transport import Transport
from shepherd.runtime.images.workers import run_all

AT_ONCE = 3  # blobs, as other clients do


class Report:
    """Told what happens; does nothing itself. `digest` is a Digest."""

    def resolved(self, name, digest):
        """The name means this, from now on and whatever its tag comes to mean."""

    def blob(self, digest, status):
        """`status`: present, resumed, pulled, pushed, mounted."""


def pull(store, reference, settings, lease, credentials=None, platform=None, report=None) -> Descriptor:
    """Fetch what `reference` means and name it so; return its Descriptor. Mirrors are asked first.

    Of an index, the manifest for `platform` (this machine's by default) and its blobs are fetched.
    """
    report = report or Report()
    failures = []
    for base in list(settings.mirrors.get(reference.domain, ())) + [None]:
        repository = None
        try:
            # a mirror is another host: what is known of the registry's users is not for it
            known = credentials if base is None else None
            repository = Repository(reference, Transport(settings), known, base and base.rstrip("/"))
            descriptor = _pull(store, repository, lease, platform or Platform.of_this_machine(), report)
            Names(store).set(reference, descriptor)
            return descriptor
        except RuntimeFailure as error:
            if base is None:
                if failures:
                    raise RuntimeFailure("%s; and before: %s" % (error.message, "; ".join(failures)), error.hint)
                raise
            failures.append(error.message)
        finally:
            if repository is not None:
                repository.close()
    raise AssertionError("the last one returns or raises")


def _pull(store, repository, lease, platform, report):
    reference = repository.reference
    what = Digest(reference.digest) if reference.digest else reference.tag
    descriptor, data = repository.manifest(what)
    report.resolved(reference, descriptor.digest)
    top = descriptor
    for _ in range(DEEPEST_INDEX):
        document = manifests.read(data, descriptor.media_type, "the manifest of %s" % reference)
        _keep(store, lease, descriptor, data)
        if not isinstance(document, Index):
            break
        chosen = document.choose(platform)
        if store.has(chosen.digest):
            lease.add(chosen.digest)
        descriptor, data = repository.manifest(chosen.digest)
        if (descriptor.size, descriptor.media_type) != (chosen.size, chosen.media_type):
            raise RuntimeFailure("the manifest %s is not what its index says" % chosen.digest)
    else:
        raise RuntimeFailure("%s is an index of indexes of indexes" % reference)
    if document.config.media_type in manifests.CONFIGS:
        fetch(store, repository, lease, document.config, report)
        manifests.read_config(store.read(document.config.digest, LARGEST_CONFIG), document)
        for layer in document.layers:
            layer.check_layer()
    else:
        fetch(store, repository, lease, document.config, report)
    layers = list({layer.digest: layer for layer in document.layers}.values())

    missing = [layer for layer in layers if not store.has(layer.digest)]
    room.check(store.root, sum(one.size - store.begun(one.digest) for one in missing), str(reference))

    def one(layer, ours):
        fetch(store, ours, lease, layer, report)

    run_all(one, layers, AT_ONCE, repository.for_thread, lambda ours: ours.close())
    return top


def _keep(store, lease, descriptor, data):
    with store.ingest(descriptor.digest, len(data), lease) as ingest:
        if not ingest.present:
            ingest.start_again()
            ingest.write(data)


def fetch(store, repository, lease, descriptor, report):
    """Fetch a blob, from where an earlier try stopped; a connection that breaks is a new try while something comes."""
    with store.ingest(descriptor.digest, descriptor.size, lease) as ingest:
        if ingest.present:
            report.blob(descriptor.digest, "present")
            return
        resumed = bool(ingest.offset)
        if not resumed:
            ingest.start_again()
        else:
            ingest.resume()
        while ingest.offset < descriptor.size or (descriptor.size == 0 and not ingest.offset):
            before = ingest.offset
            try:
                answer = repository.blob(descriptor.digest, ingest.offset)
            except RuntimeFailure as error:
                if descriptor.urls:
                    raise RuntimeFailure(
                        "%s; it is a foreign layer, kept at %s" % (error.message, ascii(descriptor.urls[0])[:200]),
                        "fetch it by hand and import it: addresses in images are not followed",
                    )
                raise
            with answer:
                if answer.status == 200 and ingest.offset:
                    ingest.start_again()
                _copy(answer, ingest)
            if ingest.offset <= before and ingest.offset < descriptor.size:
                raise RuntimeFailure("the blob %s is cut short again and again" % descriptor.digest)
            if descriptor.size == 0:
                break
    report.blob(descriptor.digest, "resumed" if resumed else "pulled")


def _copy(answer, ingest):
    from http.client import HTTPException

    try:
        while True:
            data = answer.read(CHUNK)
            if not data:
                return
            ingest.write(data)
    except (OSError, HTTPException):
        return  # the rest is asked for again
