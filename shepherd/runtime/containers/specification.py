"""From a container's record to the config.json of its bundle (OCI runtime specification): with Docker's defaults."""

import os

from shepherd.runtime.bundle import template
from shepherd.runtime.containers import block_devices
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import capabilities, user_namespace

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT = "/dev/init"  # where the reaper of --init is seen
_RECURSIVE = (5, 12)  # the Linux that can make all below a bind mount read-only
# device rules of every container: nodes may be made of anything, and used of what is harmless (as Docker's)
_DEVICES = [("c", -1, -1, "m"), ("b", -1, -1, "m"), ("c", 1, 3, "rwm"), ("c", 1, 5, "rwm"), ("c", 1, 7, "rwm"),
            ("c", 1, 8, "rwm"), ("c", 1, 9, "rwm"), ("c", 5, 0, "rwm"), ("c", 5, 1, "rwm"), ("c", 5, 2, "rwm"),
            ("c", 136, -1, "rwm")]  # fmt: skip


def config(record, place: str, user: dict, mounts: list, plan=None) -> dict:
    """The configuration. `place` is where the root is, `mounts` the record's with their sources, `plan` the network's.

    `plan` may have `namespace` (new, host or a path) and `mounts` (as in config.json).
    """
    host, declared = record.host, record.config["Config"]
    plan = plan or {}
    granted = granted_capabilities(host)
    resources = _resources(host)
    devices = _devices(host, resources)
    made = {
        "ociVersion": "1.2.0",
        "process": _process(record, user, granted),
        "root": {"path": place, "readonly": bool(host.get("ReadonlyRootfs"))},
        "mounts": _mounts(record, mounts, plan),
        "annotations": {"org.opencontainers.image.title": declared.get("Image") or ""},
        "linux": {
            "cgroupsPath": "/" + record.group,
            "resources": resources,
            "namespaces": _namespaces(record, plan),
            "devices": devices,
            "sysctl": dict(host.get("Sysctls") or {}),
            "maskedPaths": [] if host.get("Privileged") else list(template.MASKED),
            "readonlyPaths": [] if host.get("Privileged") else list(template.READONLY),
        },
    }
    if "uts" in {one["type"] for one in made["linux"]["namespaces"]}:
        made["hostname"] = declared.get("Hostname") or record.id[:12]
        if declared.get("Domainname"):
            made["domainname"] = declared["Domainname"]
    _apply_security(made, record, granted)
    if user_namespace.of_user():
        from shepherd.runtime.bundle import unprivileged

        unprivileged.adapt(made)
    return made


def _process(record, user, granted):
    declared, host = record.config["Config"], record.host
    arguments = list(declared.get("Entrypoint") or []) + list(declared.get("Cmd") or [])
    process = {
        "terminal": bool(declared.get("Tty")),
        "user": user,
        "args": arguments,
        "env": environment(declared, declared.get("Hostname") or record.id[:12]),
        "cwd": os.path.normpath("/" + (declared.get("WorkingDir") or "")),
        "capabilities": {"bounding": granted, "effective": granted, "permitted": granted},
        "rlimits": [
            {"type": "RLIMIT_" + one["Name"].upper(), "soft": one["Soft"], "hard": one["Hard"]}
            for one in host.get("Ulimits") or []
        ],
        "oomScoreAdj": host.get("OomScoreAdj") or 0,
    }
    if process["cwd"].startswith("//"):
        process["cwd"] = process["cwd"][1:]
    if declared.get("ConsoleSize"):
        process["consoleSize"] = dict(zip(("height", "width"), declared["ConsoleSize"]))
    return process


def environment(declared: dict, hostname: str) -> list:
    """NAME=value: the container's, and what every program expects to find."""
    found = list(declared.get("Env") or [])
    names = {one.partition("=")[0] for one in found}
    first = [PATH] if "PATH" not in names else []
    if "HOSTNAME" not in names:
        first.append("HOSTNAME=" + hostname)
    if declared.get("Tty") and "TERM" not in names:
        first.append("TERM=xterm")
    return first + found


def merge_environment(first: list, second: list) -> list:
    """NAME=value of both, where the second one's win; a NAME without value takes one away."""
    found = {}
    for one in first + second:
        name, equals, _value = one.partition("=")
        if not name:
            continue
        if equals:
            found[name] = one
        else:
            found.pop(name, None)
    return list(found.values())


def granted_capabilities(host: dict) -> list:
    """What --cap-add, --cap-drop and --privileged make of the default ones. Raises RuntimeFailure."""
    if host.get("Privileged"):
        return everything_we_have()
    everything = everything_we_have()
    added, dropped = (_capability_names(host.get(field) or []) for field in ("CapAdd", "CapDrop"))
    found = set(everything if "ALL" in added else capabilities.DEFAULT) & set(everything)
    if "ALL" in dropped:
        found = set(everything) if "ALL" in added else set()
    found |= set(added) - {"ALL"}
    found -= set(dropped) - {"ALL"}
    return sorted(found)


def everything_we_have() -> list:
    """All capabilities that this process could give: those of its bounding set."""
    numbers = capabilities.current()["bounding"]
    return ["CAP_" + name for number, name in enumerate(capabilities.NAMES) if number in numbers]


def _capability_names(words):
    names = [word.upper() for word in words]
    names = [name if name == "ALL" or name.startswith("CAP_") else "CAP_" + name for name in names]
    capabilities.numbers([name for name in names if name != "ALL"])
    return names


def _resources(host):
    memory = {"limit": host.get("Memory"), "reservation": host.get("MemoryReservation"), "swap": host.get("MemorySwap"),
              "swappiness": host.get("MemorySwappiness")}  # fmt: skip
    cpu = {"shares": host.get("CpuShares"), "quota": host.get("CpuQuota"), "period": host.get("CpuPeriod"),
           "cpus": host.get("CpusetCpus"), "mems": host.get("CpusetMems")}  # fmt: skip
    if host.get("NanoCpus"):
        cpu.update(period=100000, quota=host["NanoCpus"] // 10000)
    found = {}
    for name, values in (("memory", memory), ("cpu", cpu)):
        values = {field: value for field, value in values.items() if value}
        if values:
            found[name] = values
    if host.get("PidsLimit"):
        found["pids"] = {"limit": host["PidsLimit"]}
    block = block_devices.resources(host)
    if block:
        found["blockIO"] = block
    return found


def resources(host: dict) -> dict:
    """`linux.resources` of a HostConfig, without rules for devices."""
    return _resources(host)


def _devices(host, found):
    """Nodes to make; the rules for them go into the resources."""
    if host.get("Privileged"):
        found["devices"] = [{"allow": True, "access": "rwm"}]
        return _machine_devices()
    rules = [{"allow": False, "access": "rwm"}]
    rules += [_rule(*one) for one in _DEVICES]
    nodes = []
    for device in host.get("Devices") or []:
        for node in _nodes(device["PathOnHost"], device["PathInContainer"]):
            nodes.append(node)
            rules.append(_rule(node["type"], node["major"], node["minor"], device.get("CgroupPermissions") or "rwm"))
    for text in host.get("DeviceCgroupRules") or []:
        kind, numbers, access = text.split()
        major, minor = (-1 if one == "*" else int(one) for one in numbers.split(":"))
        rules.append(_rule(kind, major, minor, access))
    found["devices"] = rules
    return nodes


def _rule(kind, major, minor, access):
    rule = {"allow": True, "type": kind, "access": access}
    if major >= 0:
        rule["major"] = major
    if minor >= 0:
        rule["minor"] = minor
    return rule


def _nodes(path, inside):
    """A device of the machine, or all in a folder of them."""
    import stat

    try:
        found = os.stat(path)
    except OSError as error:
        raise RuntimeFailure("--device %s: %s" % (path, error.strerror)) from None
    if stat.S_ISDIR(found.st_mode):
        for name in sorted(os.listdir(path)):
            below = os.stat(os.path.join(path, name))
            if stat.S_ISCHR(below.st_mode) or stat.S_ISBLK(below.st_mode):
                yield _node(os.path.join(inside, name), below)
        return
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        raise RuntimeFailure("--device %s: is no device" % path)
    yield _node(inside, found)


def _node(path, found):
    import stat

    return {"path": path, "type": "c" if stat.S_ISCHR(found.st_mode) else "b", "major": os.major(found.st_rdev),
            "minor": os.minor(found.st_rdev), "fileMode": stat.S_IMODE(found.st_mode), "uid": found.st_uid,
            "gid": found.st_gid}  # fmt: skip


def _machine_devices():
    """All of /dev but what a container has of its own."""
    import stat

    own = {"/dev/" + name for name in ("null", "zero", "full", "random", "urandom", "tty", "console", "ptmx")}
    found = []
    for folder, folders, names in os.walk("/dev"):
        folders[:] = [
            name for name in folders if os.path.join(folder, name) not in ("/dev/pts", "/dev/shm", "/dev/mqueue")
        ]
        for name in names:
            path = os.path.join(folder, name)
            state = os.lstat(path)
            if path not in own and (stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode)):
                found.append(_node(path, state))
    return found


def _namespaces(record, plan):
    host = record.host
    found = [{"type": "mount"}, {"type": "cgroup"}]
    for kind, field, name in (("pid", "PidMode", "pid"), ("ipc", "IpcMode", "ipc"), ("uts", "UTSMode", "uts")):
        mode = host.get(field) or ""
        if mode == "host":
            continue
        if mode.startswith("container:"):
            found.append({"type": kind, "path": _of_container(record, mode, name)})
        else:
            found.append({"type": kind})
    mode = host["NetworkMode"]
    if mode == "none":
        found.append({"type": "network", "path": "/proc/self/ns/net"})  # this process's, made for it
    elif mode == "host" or plan.get("namespace") == "host":
        found = [one for one in found if one["type"] != "uts"]
    elif mode.startswith("container:"):
        found.append({"type": "network", "path": _of_container(record, mode, "net")})
    elif (plan.get("namespace") or "new") == "new":
        found.append({"type": "network"})
    else:
        found.append({"type": "network", "path": plan["namespace"]})
    return found


def _of_container(record, mode, kind):
    other = _other(record, mode)
    state = other.state()
    if state["Status"] not in ("running", "paused"):
        raise RuntimeFailure("container %s, whose %s namespace is wanted, is not running" % (other.name, kind))
    return "/proc/%d/ns/%s" % (other.process(state)["pid"], kind)


def _other(record, mode):
    from shepherd.runtime.containers import record as records

    return records.find(record.folders, mode.partition(":")[2])


def _mounts(record, given, plan):
    host = record.host
    privileged = host.get("Privileged")
    keys = ("destination", "type", "source", "options")
    table = []
    for one in template.MOUNTS:
        destination, kind, source, options = one
        if destination == "/dev/shm" and host.get("ShmSize"):
            options = [word for word in options if not word.startswith("size=")] + ["size=%d" % host["ShmSize"]]
        if privileged and kind in ("sysfs", "cgroup"):
            options = [word for word in options if word != "ro"]
        if host.get("IpcMode") == "host" and destination in ("/dev/shm", "/dev/mqueue"):
            kind, source, options = "bind", destination, ["rbind", "nosuid", "noexec", "nodev"]
        table.append(dict(zip(keys, (destination, kind, source, options))))
    own = list(plan.get("mounts") or [])
    owner = record
    if host["NetworkMode"].startswith("container:"):
        owner = _other(record, host["NetworkMode"])  # who has one network has one set of names
    for path, name in (("/etc/hostname", "hostname"), ("/etc/hosts", "hosts"), ("/etc/resolv.conf", "resolv.conf")):
        if os.path.exists(owner.path(name)) and path not in {one["destination"] for one in own}:
            options = ["rbind", "rprivate"]
            own.append({"destination": path, "type": "bind", "source": owner.path(name), "options": options})
    if host.get("Init"):
        own.append({"destination": INIT, "type": "bind", "source": record.path("init"), "options": ["bind", "ro"]})
    user = [_mount(one) for one in given]
    taken = {one["destination"] for one in user}
    table = [one for one in table + own if one["destination"] not in taken or one["destination"] == "/dev"]
    # what lies below another mount comes after it
    table += sorted(user, key=lambda one: one["destination"].count("/") if one["destination"] != "/" else 0)
    if not any(one["destination"] == "/" or (one["destination"] + "/").startswith("/sys/") for one in user):
        # control groups last: all else is made while the kernel moves the process into its own
        table.sort(key=lambda one: one["type"] == "cgroup")
    return table


def _mount(one):
    if one["Type"] == "tmpfs":
        options = ["nosuid", "nodev"] + [word for word in (one.get("Mode") or "").split(",") if word]
        if not any(word in ("exec", "noexec") for word in options):
            options.append("noexec")
        return {"destination": one["Destination"], "type": "tmpfs", "source": "tmpfs", "options": options}
    options = ["bind" if one.get("NonRecursive") else "rbind", one.get("Propagation") or "rprivate"]
    if not one["RW"]:
        options += ["ro"] if one.get("NonRecursive") or not _can_recurse() else ["ro", "rro"]
    if one["Type"] == "volume":
        options.append("nodev")
    return {"destination": one["Destination"], "type": "bind", "source": one["Source"], "options": options}


def _can_recurse():
    words = os.uname().release.split("-")[0].split(".")
    return tuple(int(word) for word in words[:2] if word.isdigit()) >= _RECURSIVE


def _apply_security(made, record, granted):
    """--security-opt, and the filter of system calls."""
    host = record.host
    process, linux = made["process"], made["linux"]
    profile = "default"
    for option in host.get("SecurityOpt") or []:
        name, _, value = option.replace(":", "=", 1).partition("=") if "=" not in option else option.partition("=")
        if name == "no-new-privileges":
            process["noNewPrivileges"] = value in ("", "true")
        elif name == "seccomp":
            profile = value
        elif name == "apparmor":
            process["apparmorProfile"] = value
        elif name == "label":
            pass  # of SELinux: checked when it was declared
        elif name == "systempaths" and value == "unconfined":
            linux["maskedPaths"], linux["readonlyPaths"] = [], []
    if host.get("Privileged") and profile == "default":
        profile = "unconfined"
    if profile == "default":
        from shepherd.runtime.containers import filters

        linux["seccomp"] = filters.default(record.folders.root, granted)
    elif profile != "unconfined":
        from shepherd.runtime.bundle import document

        linux["seccomp"] = document.loads(profile.encode(), "the profile of --security-opt seccomp")
