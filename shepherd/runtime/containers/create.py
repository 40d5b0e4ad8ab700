"""A new container: what was asked for and what its image says, made one declaration and kept."""

import os

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock, events, graves, log, own_files, policy, removal, specification
from shepherd.runtime.containers import record as records
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files
from shepherd.runtime.linux import user_namespace

# what a container of an image has when it is not told otherwise: (field of Config, field of the image's)
_INHERITED = ("User", "WorkingDir", "StopSignal")


class Request:
    """What is asked for: `config` and `host` as Docker's Config and HostConfig, `mounts` as in the record."""

    def __init__(self, image: str):
        self.image = image
        self.name = None
        self.config = {}
        self.host = {}
        self.mounts = []
        self.networking = {}
        self.extra_hosts = []
        self.secrets = {}  # name → (bytes, mode, owner)


def create(folders, request: Request, image):
    """The container's Record. `image` is an images.image.Image, which the caller has leased. Raises RuntimeFailure."""
    folders.make()
    identity = records.new_id()
    config = _config(request, image)
    host = _host(request)
    if host["NetworkMode"].startswith("container:"):
        host["NetworkMode"] = "container:" + records.find(folders, host["NetworkMode"].partition(":")[2]).id
    elif host.get("PublishAllPorts") and host["NetworkMode"] not in ("none", "host"):
        request.networking["ports"] = request.networking.get("ports", []) + list(config["ExposedPorts"])
    if request.name:
        records.check_name(request.name)
    declared = {
        "Id": identity,
        "Name": request.name,
        "Created": clock.stamp(),
        "Image": str(image.id),
        "Manifest": str(image.manifest_descriptor.digest),
        "Config": config,
        "HostConfig": host,
        "Networking": request.networking,
    }
    made = records.Record(folders, identity, declared)
    specification.granted_capabilities(host)  # names that do not exist are refused now
    beside = os.path.join(folders.containers, ".new-%d-%s" % (os.getpid(), identity))
    files.make_folder(beside)
    try:
        _pin(image, identity, not host.get("AutoRemove"))
        _unpack(folders, image, declared, beside)
        declared["Files"] = own_files.texts(declared, request.extra_hosts)
        if request.secrets:
            from shepherd.runtime.containers import secrets

            declared.update(secrets.keep(beside, request.secrets))
        own_files.write(declared, beside)
        with folders.lock():
            # one that nobody chose is looked for now: before, another container could have been given the same
            name = declared["Name"] = request.name or _new_name(folders)
            declared["Mounts"] = _mounts(folders, request, config)
            made.folder = beside
            _save(made, host)
            made.save_state(records.NEW)
            records.take_name(folders, name, identity)
            made.folder = folders.container(identity)
            os.rename(beside, made.folder)
        if not host.get("AutoRemove"):
            files.sync_folder(folders.names)
            files.sync_folder(folders.containers)
    except BaseException:
        made.folder = beside
        _undo(made, beside)
        raise
    events.write(made, "create")
    return made


def _save(made, host):
    """What has to outlast a power cut, unless it goes with its end."""
    if host.get("AutoRemove"):
        processes.write(made.path("config.json"), document.dumps(made.config))
    else:
        made.save()


def _pin(image, identity, lasting):
    """Keep the image for as long as the container is there; the pin of one that goes with its end needs no sync."""
    store, digest = image.store, image.manifest_descriptor.digest
    if lasting:
        store.pin(identity, digest)
        return
    with store.lock():
        if not store.has(digest):
            raise RuntimeFailure("the image %s is not here any more" % digest)
        processes.write(store.path("pins", identity), str(digest))


def _undo(made, beside):
    removal._unpin(made.folders, made.id)
    graves.bury(beside)


def _unpack(folders, image, declared, beside):
    from shepherd.runtime.images import layers, rootfs

    if user_namespace.confined() and not rootfs.is_possible(folders.root, folders.state):
        flat = os.path.join(beside, "flat")
        os.mkdir(flat, 0o755)
        layers.flatten(image, flat)
        declared.update(Layers=[], Flat=True)
        return
    declared["Layers"] = [os.path.basename(path) for path in layers.ensure(image)]
    for name in ("upper", "work"):
        os.mkdir(os.path.join(beside, name), 0o755)
    os.chmod(os.path.join(beside, "upper"), 0o755)  # it is the mode of the container's root


def _config(request, image):
    """Docker's Config: the image's settings under what was asked for."""
    ours = dict(request.config)
    theirs = image.config.settings
    config = {"Image": request.image, "Hostname": "", "Domainname": "", "Tty": False, "OpenStdin": False}
    for field in _INHERITED:
        value = theirs.get(field)
        if value is not None and not isinstance(value, str):
            raise RuntimeFailure("the image's %s should be a string, and is %.60r" % (field, value))
        config[field] = value or ""
    config["Env"] = specification.merge_environment(_texts(theirs, "Env"), ours.pop("Env", []))
    labels = theirs.get("Labels") if isinstance(theirs.get("Labels"), dict) else {}
    config["Labels"] = dict({str(name): str(value) for name, value in labels.items()}, **ours.pop("Labels", {}))
    config["ExposedPorts"] = {
        port: {} for port in sorted(_keys(theirs, "ExposedPorts") | set(ours.pop("ExposedPorts", {})))
    }
    config["Volumes"] = {path: {} for path in sorted(_keys(theirs, "Volumes"))}
    command, entry = ours.pop("Cmd", None), ours.pop("Entrypoint", None)
    config["Entrypoint"] = _texts(theirs, "Entrypoint") if entry is None else entry
    if command is None and entry is None:
        command = _texts(theirs, "Cmd")  # an entry point of one's own forgets the image's command
    config["Cmd"] = command or []
    if not config["Entrypoint"] + config["Cmd"]:
        raise RuntimeFailure("the image %s says no command to run, and none was given" % request.image)
    config["Healthcheck"] = _health(ours.pop("Healthcheck", None), theirs.get("Healthcheck"))
    config.update({field: value for field, value in ours.items() if value is not None})
    from shepherd.runtime.containers import signals

    signals.parse(config["StopSignal"] or "SIGTERM")
    return config


def _texts(settings, field):
    value = settings.get(field) or []
    if not isinstance(value, list) or not all(isinstance(one, str) and "\0" not in one for one in value):
        raise RuntimeFailure("the image's %s should be a list of strings" % field)
    return list(value)


def _keys(settings, field):
    value = settings.get(field)
    return {one for one in value if isinstance(one, str)} if isinstance(value, dict) else set()


def _health(ours, theirs):
    """What was asked for fills in, or replaces, what the image says (docker run --health-*)."""
    if ours and ours.get("Test") == ["NONE"]:
        return ours
    found = dict(theirs) if isinstance(theirs, dict) else {}
    found.update(ours or {})
    if found and not found.get("Test"):
        if ours:
            raise RuntimeFailure(
                "--health-interval and the like need a check", "--health-cmd, --health-http, --health-tcp"
            )
        return None
    return found or None


def _host(request):
    """Docker's HostConfig, checked where nobody else does."""
    host = {
        "NetworkMode": "none",
        "RestartPolicy": policy.parse("no"),
        "LogConfig": {"Type": "json-file", "Config": {}},
    }
    host.update({field: value for field, value in request.host.items() if value is not None})
    kind = host["LogConfig"]["Type"]
    if kind not in ("json-file", "none"):
        raise RuntimeFailure("--log-driver: there are json-file and none, and no %.40s" % kind)
    try:
        options = host["LogConfig"]["Config"]
        size, count = log.limits(host["LogConfig"])
        if size < 0 or count < 1 or set(options) - {"max-size", "max-file"}:
            raise ValueError
    except ValueError:
        raise RuntimeFailure("--log-opt: there are max-size=10m and max-file=3") from None
    if user_namespace.of_user():
        from shepherd.runtime.containers import unprivileged

        unprivileged.settle(host)
    if host["RestartPolicy"]["Name"] != "no" and host.get("AutoRemove"):
        raise RuntimeFailure("--rm and --restart exclude one another")
    return host


# Mounts


def _mounts(folders, request, config):
    """The record's Mounts; volumes that are missing are made. The lock on names is held: no volume goes meanwhile."""
    from shepherd.runtime.volumes import volume

    mounts, taken = [], set()
    for mount in request.mounts:
        mount = dict(mount)
        if mount["Destination"] in taken:
            raise RuntimeFailure("two mounts at %s" % mount["Destination"])
        taken.add(mount["Destination"])
        if mount["Type"] == "bind":
            mount["Source"] = _bind_source(folders, mount, request.host)
        elif mount["Type"] == "volume":
            mount["Anonymous"] = not mount.get("Name")
            made = volume.create(folders.root, mount.get("Name"), mount.pop("Labels", None))
            mount.update(Name=made.name, Source=made.data, Driver="local")
        mounts.append(mount)
    for path in config.get("Volumes") or {}:
        destination = os.path.normpath("/" + path).replace("//", "/")
        if destination == "/" or "\0" in destination:
            raise RuntimeFailure("the image's volume %.100r is no folder below its root" % path)
        if destination not in taken:
            made = volume.create(folders.root)
            mounts.append({
                "Type": "volume", "Name": made.name, "Source": made.data, "Destination": destination, "Driver": "local",
                "Mode": "", "RW": True, "Propagation": "", "Anonymous": True,
            })  # fmt: skip
    return mounts


def _bind_source(folders, mount, host):
    """The path on this machine, its links resolved once and for all. What would give it all away is refused."""
    path = mount["Source"]
    if not os.path.exists(path):
        if not mount.pop("Make", False):
            raise RuntimeFailure("cannot mount %s: there is no such file or folder" % path)
        os.makedirs(path, 0o755, exist_ok=True)
    mount.pop("Make", None)
    real = os.path.realpath(path)
    if "host-binds=unconfined" in (host.get("SecurityOpt") or []) or host.get("Privileged"):
        return real
    for own in ("/proc", folders.root, folders.state):
        if _within(real, own) or _within(own, real):
            raise RuntimeFailure(
                "%s may not be mounted: it is, or has in it, %s" % (real, own),
                "--security-opt host-binds=unconfined, if the container may own this machine",
            )
    return real


def _within(path, folder):
    return (path.rstrip("/") + "/").startswith(os.path.realpath(folder).rstrip("/") + "/")


# Names


_ADJECTIVES = "able brave bright calm clear eager fair fresh gentle grand happy keen kind light lively mild neat noble quick quiet ready steady sunny swift tidy warm wise".split()  # noqa: E501
_NOUNS = "barn brook cliff cloud creek dale dune field fern fold glade grove heath hill knoll lake lamb meadow moor oak pasture pond ram ridge stone vale willow".split()  # noqa: E501


def _new_name(folders):
    """Two words, as Docker gives them to those that nobody named."""
    for _attempt in range(20):
        number = int.from_bytes(os.urandom(4), "big")
        name = "%s_%s" % (_ADJECTIVES[number % len(_ADJECTIVES)], _NOUNS[(number >> 16) % len(_NOUNS)])
        if _attempt > 8:
            name += str(number % 100000)
        if records.named(folders, name) is None:
            return name
    return "c" + os.urandom(8).hex()
