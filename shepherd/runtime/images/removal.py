"""Taking away a name, or an image with all its names. What nothing needs then is for collect.py."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import image, reference
from shepherd.runtime.images.names import Names


def remove(store, text, force=False) -> list:
    """Remove the name `text`, or the image it is an id of; return lines that say what was done.

    A container that needs the image keeps its last name, unless `force`; its blobs and layers stay in any case.
    """
    descriptor = image.find_descriptor(store, text)
    names = Names(store)
    called = names.of(descriptor.digest)
    name = _name(text, called)
    if name is None and len(called) > 1 and not force:
        raise RuntimeFailure(
            "%s has more than one name: %s" % (text, ", ".join(one.familiar for one in called)),
            "remove them by name, or all of them with --force",
        )
    if name is None or called == [name]:
        users = sorted(owner for owner, digest in store.pins().items() if digest in _digests(store, descriptor))
        if users and not force:
            raise RuntimeFailure(
                "%s is needed by the container %s" % (text, ", ".join(users)), "remove that first, or use --force"
            )
    if name is not None:
        names.remove(lambda one, _: one == name)
        lines = ["Untagged: %s" % name.familiar]
    else:
        names.remove(lambda _, one: one.digest == descriptor.digest)
        lines = ["Untagged: %s" % one.familiar for one in called]
    if all(one.digest != descriptor.digest for _, one in names.all()):
        lines.append("Deleted: %s" % descriptor.digest)
    return lines


def _name(text, called):
    """Which of the image's names `text` is."""
    try:
        wanted = reference.parse(text)
    except RuntimeFailure:
        return None
    return wanted if wanted in called else None


def _digests(store, descriptor):
    """What a pin on this image may say: the digest of the index, or of the manifest."""
    found = {descriptor.digest}
    try:
        found.add(image.resolve(store, descriptor).digest)
    except RuntimeFailure:
        pass  # of another platform: nothing runs it
    return found
