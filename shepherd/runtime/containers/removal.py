"""Taking a container away: all of it, or nothing that anybody could see."""

import os

from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import events, finishing, graves, launch
from shepherd.runtime.containers import record as records
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import trees


def remove(record, force: bool = False, volumes: bool = False) -> None:
    """Take it away; one that runs is ended first with `force`. Raises RuntimeFailure."""
    from shepherd.runtime.containers import recovery, stopping

    with record:
        recovery.recover(record)
        status = record.state()["Status"]
        if record.monitor():
            if status in records.ALIVE and not force:
                raise RuntimeFailure(
                    "container %s cannot be removed: it is %s" % (record.name, status), "stop it, or use --force"
                )
            connection = launch.connect(record)
            stopping.thaw(record)
            if connection is not None:
                record.set_stopped(True)
                connection.say(b"s - 0")
                connection.ended()
                connection.close()
            stopping.await_monitor(record)
        if not os.path.isdir(record.folder):
            return  # its monitor has done it (--rm)
        _remove(record, volumes)


def remove_own(record) -> None:
    """By the container's own monitor, when it has ended (--rm): with its anonymous volumes."""
    _remove(record, True)


def _remove(record, volumes):
    folders = record.folders
    grave = os.path.join(folders.containers, ".gone-" + record.id)
    # until it is gone nobody else is to take it apart; who waits for us with the lock on it will not either
    held = None if record.locked else graves.lock(record.folder)
    try:
        with folders.lock():
            try:
                os.rename(record.folder, grave)
            except FileNotFoundError:
                return  # somebody else was faster
            if _target(folders, record.name) == record.id:
                records.drop_name(folders, record.name)
            _unpin(folders, record.id)
        finishing.sweep_running(record)
        events.write(record, "destroy")
        if volumes:
            _remove_volumes(record)
        trees.remove(grave)
    finally:
        if held is not None:
            os.close(held)


def _target(folders, name):
    try:
        return os.readlink(os.path.join(folders.names, name))
    except OSError:
        return ""


def _unpin(folders, identity):
    """What images.store.unpin does; the store itself costs imports that a removal does not need."""
    try:
        os.unlink(os.path.join(folders.root, "pins", identity))
    except FileNotFoundError:
        pass


def _remove_volumes(record):
    from shepherd.runtime.volumes import volume

    for mount in record.config.get("Mounts") or []:
        if mount["Type"] == "volume" and mount.get("Anonymous"):
            with record.folders.lock():
                try:
                    volume.remove(record.folders.root, mount["Name"], users(record.folders).get(mount["Name"]))
                except RuntimeFailure:
                    continue  # another container has it too, or it is gone


def users(folders) -> dict:
    """Names of volumes to the ids of the containers that have them."""
    found = {}
    for one in records.everything(folders):
        for mount in one.config.get("Mounts") or []:
            if mount["Type"] == "volume":
                found.setdefault(mount["Name"], set()).add(one.id)
    return found


def sweep(folders) -> None:
    """Take away what commands left that were killed while they made, started or removed a container."""
    try:
        names = os.listdir(folders.containers)
    except FileNotFoundError:
        return
    for name in names:
        if name.startswith(".gone-"):
            graves.bury(os.path.join(folders.containers, name))
        elif name.startswith(".new-"):
            maker = name.split("-")[1]
            if not (maker.isdigit() and processes.start_time(int(maker))):
                graves.bury(os.path.join(folders.containers, name))
    _sweep_processes(folders)
    _sweep_names(folders)
    from shepherd.runtime.volumes import volume

    volume.sweep(folders.root)


def _sweep_processes(folders):
    """Of containers that are not there any more."""
    from shepherd.runtime.bundle import lifecycle

    for place in (folders.started, os.path.join(folders.state, "containers")):
        for name in os.listdir(place) if os.path.isdir(place) else ():
            if records.is_id(name) and not os.path.exists(folders.container(name)):
                lifecycle.delete(folders.started, name, force=True)
                finishing.sweep_running(records.Record(folders, name, {}))


def _sweep_names(folders):
    """Names and pins of containers that are not there; with the lock no container is just coming to be."""
    pins = os.path.join(folders.root, "pins")
    with folders.lock():
        pinned = os.listdir(pins) if os.path.isdir(pins) else []  # first: whose pin is here, its folder is here already
        coming = {name.split("-")[2] for name in os.listdir(folders.containers) if name.startswith(".new-")}
        for name in os.listdir(folders.names):
            identity = _target(folders, name)
            if name.startswith(".") or not os.path.exists(folders.container(identity)):
                records.drop_name(folders, name)
        for name in pinned:
            identity = name.partition(".")[0]
            gone = (
                records.is_id(identity) and identity not in coming and not os.path.exists(folders.container(identity))
            )
            if gone or (records.is_id(identity) and name != identity and identity not in coming):
                _unpin(folders, name)
        for one in records.everything(folders):
            if records.named(folders, one.name) is None:
                records.take_name(folders, one.name, one.id)  # a power cut took it
