"""What the container modules made on this machine, found by its labels: of one stack, or all of it."""

import os

from shepherd.remote import declaration

STACK, SERVICE = "shepherd.stack", "shepherd.service"
BROUGHT = "shepherd.brought"  # an annotation in the store's index: the name that container_image gave the image


def containers(runtime):
    """(record, labels) of each container that a play declared."""
    records = runtime.part("containers.record")
    for record in records.everything(runtime.folders):
        labels = record.config["Config"].get("Labels") or {}
        if declaration.APP in labels and declaration.DECLARED in labels:
            yield record, labels


def networks(runtime):
    """(record, labels) of each network that a play declared."""
    records = runtime.part("network.records")
    if not os.path.isdir(os.path.join(records.DEFAULT_ROOT, "networks")):
        return  # none is made by looking
    for record in records.Records().networks():
        if declaration.DECLARED in (record["labels"] or {}):
            yield record, record["labels"]


def volumes(runtime):
    """(volume, labels) of each volume that a play declared."""
    folders = runtime.folders
    for volume in runtime.part("volumes.volume").everything(folders.root):
        labels = volume.about.get("Labels") or {}
        if declaration.DECLARED in labels:
            yield volume, labels


def images(runtime, store):
    """(name, descriptor) of each image that a play brought, the oldest first."""
    for name, descriptor in runtime.part("images.names").Names(store).all():
        if name is not None and descriptor.annotations.get(BROUGHT) == str(name):
            yield name, descriptor


def of_stack(runtime, stack):
    """{"container": names of declared containers, "network": names, "volume": names} that have its label."""
    found = {
        "container": {labels[declaration.APP] for _record, labels in containers(runtime) if labels.get(STACK) == stack},
        "network": {record["name"] for record, labels in networks(runtime) if labels.get(STACK) == stack},
        "volume": {volume.name for volume, labels in volumes(runtime) if labels.get(STACK) == stack},
    }
    return {kind: sorted(names) for kind, names in found.items()}


def others_on(runtime, stack):
    """{(kind, name): the container} of networks and volumes that somebody has who is none of the stack's."""
    found = {}
    for record in runtime.part("containers.record").everything(runtime.folders):
        labels = record.config["Config"].get("Labels") or {}
        if labels.get(STACK) == stack and declaration.DECLARED in labels:
            continue
        mode = record.host["NetworkMode"]
        used = [("network", name) for name in (mode.split(",") if isinstance(mode, str) else mode)]
        mounts = record.config.get("Mounts") or []
        used += [("volume", one["Name"]) for one in mounts if one["Type"] == "volume"]
        found.update(dict.fromkeys(used, record.name))
    return found


def mounted(runtime, stack, folder):
    """Names in `folder` that containers of a stack have mounted, those too that only keep an earlier declaration."""
    found = []
    for _record, labels in containers(runtime):
        declared = declaration.kept(labels) or {}
        if declared.get("labels", {}).get(STACK) == stack:  # one that only keeps a declaration has no label itself
            paths = [one.partition(":")[0] for one in declared.get("volumes", ())]
            found += [os.path.basename(path) for path in paths if os.path.dirname(path) == folder]
    return found
