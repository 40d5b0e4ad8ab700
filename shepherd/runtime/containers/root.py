"""The root file system of a container, mounted in a mount namespace of this process's own."""

import os

from shepherd.runtime.bundle import state as processes
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files
from shepherd.runtime.linux import paths, syscalls


def own_mounts() -> None:
    """From here on what this process mounts is seen by it and its children alone; what the machine mounts, too."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)


def layers(record) -> list:
    """The folders of its image's layers, from the lowest up."""
    return [os.path.join(record.folders.root, "layers", name) for name in record.config["Layers"]]


def mount(record, running: str) -> str:
    """Mount it, with what it changes going into its folder, and return where. After own_mounts."""
    place = os.path.join(running, "root")
    files.make_folder(place)
    if record.config.get("Flat"):  # no overlay can be mounted here: all of its image was unpacked for it
        return record.path("flat")
    from shepherd.runtime.images import rootfs, trees

    brief = bool(record.host.get("AutoRemove"))
    if brief and os.path.exists(record.path("work") + "/work/incompat"):
        trees.remove(record.path("work"))  # it has been mounted before, by a start or by cp
    for name in ("upper", "work"):
        files.make_folder(record.path(name))
    above = record.path("upper"), record.path("work")
    rootfs.mount("shepherd-" + record.id[:12], layers(record), place, *above, brief=brief)
    return place


def check_layered(record) -> None:
    """Raise RuntimeFailure where nothing keeps its image and what it changed apart."""
    if record.config.get("Flat"):
        raise RuntimeFailure(
            "container %s has a copy of its image: what it changed is not known" % record.name,
            "overlays of ordinary users need Linux 5.11, and a file system with extended attributes",
        )


def mount_view(record, place: str, changed: bool = True) -> None:
    """Mount it for looking at, without its volumes; `changed`: with what the container changed. After own_mounts.

    The container may run: nothing of it is written to.
    """
    from shepherd.runtime.images import rootfs

    check_layered(record)
    syscalls.mount("tmpfs", place, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=700")
    made = [os.path.join(place, name) for name in ("upper", "work", "root")]
    for path in made:
        os.mkdir(path, 0o755)
    upper, work, top = made
    lower = layers(record) + ([record.path("upper")] if changed else [])
    rootfs.mount("shepherd-view", lower, top, upper, work)


def open_running(record, state: dict) -> int:
    """The root that a running container's first process has, as a descriptor. Raises RuntimeFailure."""
    process = record.process(state)
    try:
        descriptor = os.open("/proc/%d/root" % process["pid"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise RuntimeFailure("container %s is not running" % record.name) from None
    if not processes.alive(process):
        os.close(descriptor)
        raise RuntimeFailure("container %s is not running" % record.name)
    return descriptor


def open_all(record) -> int:
    """The root with its volumes and other mounts as a descriptor, whether it runs or not; this process has mounts of
    its own from then on."""
    state = record.state()
    if state["Status"] in ("running", "paused"):
        return open_running(record, state)
    running = record.folders.running(record.id)
    files.make_folder(running)
    own_mounts()
    place = mount(record, running)
    descriptor = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for one in record.config.get("Mounts") or []:
        if one["Type"] == "tmpfs" or one.get("Subpath"):
            continue
        make = paths.make_folder if os.path.isdir(one["Source"]) else paths.make_file
        target = make(descriptor, one["Destination"])
        try:
            syscalls.mount(one["Source"], paths.shown(target), None, syscalls.MS_BIND | syscalls.MS_REC)
        finally:
            os.close(target)
    return descriptor
