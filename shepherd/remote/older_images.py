"""Images of a repository that are more than shall be kept of it (`keep` of container_image)."""

from shepherd.remote.made import BROUGHT


def keep(task, runtime, result, texts):
    """Remove what is more than `keep` of the repositories of this image, which is called `texts`."""
    store = runtime.part("images.store").Store()
    parse = runtime.part("images.reference").parse
    names = runtime.part("images.names").Names(store)
    entries, gone = names.all(), []
    for repository in sorted({parse(text).name for text in texts}):
        mine = [entry for entry in entries if _repository(runtime, entry) == repository]
        old = [entry for entry in mine if not _is_this(parse, entry, texts, result["digest"])]
        gone += old[: len(old) - (task.args["keep"] - 1)] if len(old) >= task.args["keep"] else []
    gone = [(name, one) for name, one in gone if not _is_needed(runtime, store, one)]
    if not gone:
        return
    result["removed"] = [str(name) if name is not None else str(one.digest) for name, one in gone]
    result["changed"] = True
    if task.diff:
        diff = result.setdefault(
            "diff", {"before": {"image": task.args["name"]}, "after": {"image": task.args["name"]}}
        )
        diff["before"]["older"] = result["removed"]
    if not task.check:
        taken = {(str(name), str(one.digest)) for name, one in gone}
        names.remove(lambda name, one: (str(name), str(one.digest)) in taken)
        runtime.part("images.collect").collect(store)


def _repository(runtime, entry):
    """Of an image that this module has brought: what its name is without the tag; None for others."""
    name, descriptor = entry
    brought = descriptor.annotations.get(BROUGHT)
    if brought is None or (name is not None and str(name) != brought):
        return None  # a name that somebody else gave it
    return runtime.part("images.reference").parse(brought).name


def _is_this(parse, entry, texts, digest):
    name, descriptor = entry
    return name in [parse(text) for text in texts] and str(descriptor.digest) == digest


def _is_needed(runtime, store, descriptor):
    """By a container, which pins the manifest that it was made of."""
    digests = {descriptor.digest}
    try:
        digests.add(runtime.part("images.image").resolve(store, descriptor).digest)
    except runtime.part("errors").RuntimeFailure:
        pass  # of another platform: nothing runs it
    return bool(digests & set(store.pins().values()))
