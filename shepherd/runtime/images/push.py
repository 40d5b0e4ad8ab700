"""An image from the store into a registry: blobs first, then manifests, since what a manifest names must be there."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import image as images
from shepherd.runtime.images import manifest as manifests
from shepherd.runtime.images.manifest import Index
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.pull import AT_ONCE, Report
from shepherd.runtime.images.registry import Repository
from shepherd.runtime.images.transport import Transport
from shepherd.runtime.images.workers import run_all


def push(store, descriptor, reference, settings, credentials=None, platform=None, report=None):
    """Push the image of `descriptor` as `reference`; return the Descriptor that the name means there.

    Of an index, all of it if all its images are here; otherwise the one for `platform` (this machine's by default).
    """
    report = report or Report()
    if reference.tag is None:
        raise RuntimeFailure("%s has no tag to push to" % reference)
    if not _whole(store, descriptor) or platform is not None:
        descriptor = images.resolve(store, descriptor, platform)
    repository = Repository(reference, Transport(settings), credentials)
    try:
        documents = _documents(store, descriptor)
        blobs = {}
        for _, document in documents:
            if not isinstance(document, Index):
                for one in [document.config] + document.layers:
                    if not (one.urls and not store.has(one.digest)):  # what is not distributable stays where it is
                        blobs[one.digest] = one
        sources = _sources(store, reference)

        def send(one, ours):
            _send(store, ours, one, sources, report)

        run_all(send, blobs.values(), AT_ONCE, repository.for_thread, lambda ours: ours.close())
        for one, _ in documents[::-1]:
            repository.put_manifest(one.digest, one, store.read(one.digest))
        repository.put_manifest(reference.tag, descriptor, store.read(descriptor.digest))
        report.resolved(reference, descriptor.digest)
        return descriptor
    finally:
        repository.close()


def _send(store, repository, one, sources, report):
    if repository.has_blob(one.digest):
        report.blob(one.digest, "present")
        return
    status = repository.put_blob(one.digest, one.size, lambda: store.open(one.digest), sources.get(one.digest))
    report.blob(one.digest, status)


def _documents(store, descriptor):
    """(Descriptor, Index or Manifest) of all that is below, from the top."""
    document = manifests.read(store.read(descriptor.digest), descriptor.media_type, str(descriptor.digest))
    found = [(descriptor, document)]
    if isinstance(document, Index):
        for one in document.manifests:
            found += _documents(store, one)
    return found


def _whole(store, descriptor, depth=0):
    if not store.has(descriptor.digest) or depth > manifests.DEEPEST_INDEX:
        return False
    document = manifests.read(store.read(descriptor.digest), descriptor.media_type, str(descriptor.digest))
    if isinstance(document, Index):
        return all(_whole(store, one, depth + 1) for one in document.manifests)
    return all(store.has(one.digest) or one.urls for one in [document.config] + document.layers)


def _sources(store, reference):
    """Blob → another repository of the same registry that has it, as the names of images here tell."""
    found = {}
    for name, descriptor in Names(store).all():
        if name is None or name.domain != reference.domain or name.path == reference.path:
            continue
        try:
            for _, document in _documents(store, descriptor):
                if not isinstance(document, Index):
                    for one in [document.config] + document.layers:
                        found.setdefault(one.digest, name.path)
        except RuntimeFailure:
            continue  # an index whose other images are not here
    return found
