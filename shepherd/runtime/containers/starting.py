"""One start of a container: from its record to a process. Done in a child of the monitor, in mounts of its own.

The root is mounted where only this process and the container's see it: when both have ended it is gone, whoever was
killed, and the machine's list of mounts never had it.
"""

import os
import stat

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import root, specification, users
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import moves, paths, syscalls


def report(record, running: str, console, writer: int) -> None:
    """Start the container, and write to a descriptor what came of it: what `start` says, or {"error", "code"}."""
    try:
        moves.expect()  # while the rest is imported
        result = start(record, running, console)
    except RuntimeFailure as error:
        result = {"error": error.message, "code": code_of(error.message)}
    except OSError as error:
        result = {"error": "%s: %s" % (error.filename, error.strerror) if error.filename else str(error), "code": 125}
    os.write(writer, document.dumps(result).encode("ascii"))


def code_of(message: str) -> int:
    """What docker run exits with: 127 where the program is not there, 126 where it cannot be executed, else 125."""
    if not message.startswith("exec:"):
        return 125
    return 127 if message.lower().endswith(("no such file or directory", "not found in $path")) else 126


def start(record, running: str, console) -> dict:
    """The container's process, a child of this one: pid, when it began, and which processes serve its ports.

    Raises RuntimeFailure, OSError.
    """
    _give_streams(record, running)
    root.own_mounts()
    place = root.mount(record, running)
    descriptor = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        user = users.resolve(descriptor, record.config["Config"].get("User") or "", record.host.get("GroupAdd") or ())
        mounts = _prepare_mounts(record, running, descriptor)
        if record.config.get("Secrets"):
            from shepherd.runtime.containers import secrets

            mounts += secrets.mount(record, running, user)
        plan = _plan_network(record)
        config = specification.config(record, place, user, mounts, plan)
        if record.host.get("Init"):
            config["process"]["args"] = _under_init(descriptor, config["process"])
    finally:
        os.close(descriptor)
    return _create(record, config, console, plan)


def _under_init(descriptor, process):
    """The reaper's arguments: the program's path, which it does not look for, and the program's own arguments."""
    arguments = process["args"]
    name = arguments[0]
    places = [name]
    if "/" not in name:
        path = dict(one.partition("=")[::2] for one in process["env"]).get("PATH", "")
        places = [os.path.join(folder, name) for folder in path.split(":") if folder.startswith("/")]
    for place in places:
        try:
            found = paths.open_inside(descriptor, os.path.join(process["cwd"], place))
        except OSError:
            continue
        try:
            mode = os.fstat(found).st_mode
        finally:
            os.close(found)
        if stat.S_ISREG(mode) and mode & 0o111:
            return [specification.INIT, place, *arguments]
    if "/" in name:
        return [specification.INIT, name, *arguments]  # perhaps in a volume: it says itself what is wrong
    raise RuntimeFailure('exec: "%s": executable file not found in $PATH' % name)


def _create(record, config, console, plan):
    from shepherd.runtime.bundle import config as checks
    from shepherd.runtime.bundle import create, lifecycle

    checks.check(config)
    request = create.Request(record.folders.started, record.id, record.folder, config)
    request.console = console
    if record.host["NetworkMode"] == "none":
        _make_network()
    try:
        container = create.create(request, start=plan is None)
    except RuntimeFailure as error:
        if "exists" in error.message and lifecycle_left(record):
            container = create.create(request, start=plan is None)
        else:
            raise
    with container:
        pid, began = container.record["pid"], container.record["began"]
        if plan is None:
            lifecycle.after_start(container)
    serving = []
    if plan is not None:
        try:
            from shepherd.runtime.network import attach

            shown = attach.attach(record.id, record.name, pid, _network_options(record), record.folder)
            serving = shown.pop("serving")
            processes.write(connections(record), document.dumps(shown))
            lifecycle.start(record.folders.started, record.id)
        except BaseException:
            _detach(record)
            lifecycle.delete(record.folders.started, record.id, force=True)
            raise
    return {"pid": pid, "began": began, "serving": serving}


def lifecycle_left(record) -> bool:
    """Take away what a killed monitor left of an earlier start."""
    from shepherd.runtime.bundle import lifecycle

    lifecycle.delete(record.folders.started, record.id, force=True)
    return True


def _give_streams(record, running):
    """The ends that the container has: of named pipes, open for reading too, so that they outlive a monitor."""
    config = record.config["Config"]
    null = os.open("/dev/null", os.O_RDWR)
    if config.get("Tty"):
        ends = (null, null, null)
    else:
        entrance = os.open(os.path.join(running, "in"), os.O_RDONLY) if config.get("OpenStdin") else null
        ends = (
            entrance,
            os.open(os.path.join(running, "out"), os.O_RDWR),
            os.open(os.path.join(running, "err"), os.O_RDWR),
        )
    for number, end in enumerate(ends):
        os.dup2(end, number)


def _make_network():
    """A network with nothing but itself in it: the container joins this process's."""
    import fcntl
    import struct
    from _socket import AF_INET, SOCK_DGRAM, socket

    syscalls.unshare(syscalls.CLONE_NEWNET)
    end = socket(AF_INET, SOCK_DGRAM, 0)
    fcntl.ioctl(end.fileno(), 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
    end.close()


def _network_options(record):
    return dict(
        record.config.get("Networking") or {},
        read_only=bool(record.host.get("ReadonlyRootfs")),
        checked=((record.config["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]) != ["NONE"],
    )


def _plan_network(record):
    """What the network's own part says of files and namespaces; None where it has nothing to do."""
    if not record.is_attached:
        return None
    attach = network_module()
    return attach.plan(record.id, record.name, _network_options(record), record.folder) or {}


def connections(record) -> str:
    """The file that says how a running container is connected: {"networks", "ports"}."""
    return os.path.join(record.folders.running(record.id), "network.json")


def network_module():
    """shepherd.runtime.network.attach. Raises RuntimeFailure where it is not there."""
    try:
        from shepherd.runtime.network import attach
    except ImportError:
        raise RuntimeFailure("networks other than none and host are not there yet", "--network none or host") from None
    return attach


def _detach(record):
    if record.is_attached:
        network_module().detach(record.id)


def _prepare_mounts(record, running, descriptor):
    """The record's mounts, each with the machine's path that is mounted: volumes are filled, subpaths are found."""
    from shepherd.runtime.volumes import volume

    prepared = []
    for number, mount in enumerate(record.config.get("Mounts") or []):
        mount = dict(mount)
        if mount["Type"] == "volume":
            found = volume.find(record.folders.root, mount["Name"])
            if not mount.get("NoCopy"):
                found.fill(descriptor, mount["Destination"])
            mount["Source"] = found.data
        if mount.get("Subpath"):
            mount["Source"] = _subpath(mount, os.path.join(running, "mount%d" % number))
        prepared.append(mount)
    return prepared


def _subpath(mount, place):
    """A part of a source, which a container may have filled with links: found inside it, and mounted here first."""
    top = os.open(mount["Source"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = paths.open_inside(top, mount["Subpath"])
    except OSError as error:
        raise RuntimeFailure(
            "the subpath %.200r of %s: %s" % (mount["Subpath"], mount.get("Name") or mount["Source"], error.strerror)
        ) from None
    finally:
        os.close(top)
    try:
        if stat.S_ISDIR(os.fstat(found).st_mode):
            os.makedirs(place, 0o700, exist_ok=True)
        elif not os.path.exists(place):
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        syscalls.mount(paths.shown(found), place, None, syscalls.MS_BIND | syscalls.MS_REC)
    finally:
        os.close(found)
    return place
