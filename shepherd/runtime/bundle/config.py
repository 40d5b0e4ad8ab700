"""config.json of a bundle: read, and checked as a whole before anything is made of it."""

import os

from shepherd.runtime.bundle import document, options, schema
from shepherd.runtime.errors import RuntimeFailure

# getrlimit(2); the numbers are those of <asm-generic/resource.h>, which all machines that we run on share
RLIMITS = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_DATA": 2,
    "RLIMIT_STACK": 3,
    "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9,
    "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13,
    "RLIMIT_RTPRIO": 14,
    "RLIMIT_RTTIME": 15,
}
_DIGITS = frozenset("0123456789")
CLOCKS = {"monotonic": 1, "boottime": 7}  # time_namespaces(7)

# Kernel parameters that belong to a namespace, by the namespace that has to be the container's own
_SYSCTL_IPC = {
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
}


def load(bundle: str) -> dict:
    """The checked configuration of the bundle in a folder. Raises RuntimeFailure."""
    config = document.read(os.path.join(bundle, "config.json"))
    check(config)
    root = os.path.join(bundle, config["root"]["path"])
    if not os.path.isdir(root):
        raise RuntimeFailure("/root/path: there is no folder %s" % root)
    return config


def check(config: dict) -> None:
    """Raise RuntimeFailure, with a JSON pointer, where it cannot be what the specification calls a configuration."""
    schema.check(config, schema.CONFIG)
    numbers = config["ociVersion"].partition("+")[0].partition("-")[0].split(".")
    if len(numbers) != 3 or numbers[0] != "1" or not all(one and _DIGITS.issuperset(one) for one in numbers):
        raise RuntimeFailure(
            "/ociVersion: %.40r is not a version 1.x.y, which is what is known here" % config["ociVersion"]
        )
    for name in ("root", "linux"):
        if config.get(name) is None:
            raise RuntimeFailure("/%s: is required" % name)
    if config.get("process") is not None:
        check_process(config["process"], "/process")
    linux = config["linux"]
    kinds = namespaces(config)
    _check_namespaces(config, linux, kinds)
    _check_mappings(linux, kinds)
    _check_sysctl(linux.get("sysctl") or {}, kinds)
    for number, mount in enumerate(config.get("mounts") or []):
        _check_mount(mount, "/mounts/%d" % number, kinds)
    for number, device in enumerate(linux.get("devices") or []):
        if device["type"] != "p" and (device.get("major") is None or device.get("minor") is None):
            raise RuntimeFailure("/linux/devices/%d: major and minor are required" % number)
    for name in linux.get("timeOffsets") or {}:
        if name not in CLOCKS:
            raise RuntimeFailure("/linux/timeOffsets/%s: should be monotonic or boottime" % name)
    for name, allowed in (("personality", linux.get("personality")),):
        if allowed and allowed.get("flags"):
            raise RuntimeFailure("/linux/%s/flags: none is defined" % name)
    if linux.get("intelRdt") is not None:
        raise RuntimeFailure(
            "/linux/intelRdt: is not supported", "take it out; limits of CPU and memory are in resources"
        )
    if "" in (config.get("annotations") or {}):
        raise RuntimeFailure("/annotations/: a key should not be empty")
    if ".." in (linux.get("cgroupsPath") or "").split("/"):
        raise RuntimeFailure("/linux/cgroupsPath: should have no .. in it")


def check_process(process: dict, pointer: str = "") -> None:
    """The same for a process object, which `exec` reads alone. Where it says no user, that is root."""
    schema.check(process, schema.PROCESS, pointer)
    if process.get("user") is None:
        process["user"] = {"uid": 0, "gid": 0}
    if not process["args"] or not process["args"][0]:
        raise RuntimeFailure("%s/args: should name a program" % pointer)
    for number, one in enumerate(process.get("env") or []):
        if "=" not in one[1:]:
            raise RuntimeFailure("%s/env/%d: should be NAME=value, and is %.60r" % (pointer, number, one))
    seen = set()
    for number, limit in enumerate(process.get("rlimits") or []):
        place = "%s/rlimits/%d" % (pointer, number)
        if limit["type"] not in RLIMITS:
            raise RuntimeFailure("%s/type: %.40r is no limit of getrlimit(2)" % (place, limit["type"]))
        if limit["type"] in seen:
            raise RuntimeFailure("%s/type: %s is there twice" % (place, limit["type"]))
        if limit["soft"] > limit["hard"]:
            raise RuntimeFailure("%s/soft: should not be above hard" % place)
        seen.add(limit["type"])
    if not -1000 <= (process.get("oomScoreAdj") or 0) <= 1000:
        raise RuntimeFailure("%s/oomScoreAdj: should be from -1000 to 1000" % pointer)
    if not 0 <= ((process.get("ioPriority") or {}).get("priority") or 0) <= 7:
        raise RuntimeFailure("%s/ioPriority/priority: should be from 0 to 7" % pointer)
    if (process.get("user") or {}).get("umask") is not None and process["user"]["umask"] > 0o777:
        raise RuntimeFailure("%s/user/umask: should be at most 511 (octal 777)" % pointer)
    for name, text in (process.get("execCPUAffinity") or {}).items():
        if name in ("initial", "final"):
            processors(text, "%s/execCPUAffinity/%s" % (pointer, name))


def processors(text: str, pointer: str) -> set:
    """The numbers in a list such as 0-3,7 (cpuset(7), "List format")."""
    found = set()
    for part in text.split(","):
        first, _dash, last = part.strip().partition("-")
        if not (first.isdigit() and (last.isdigit() or not _dash)) or int(last or first) > 8191:
            raise RuntimeFailure("%s: should be a list such as 0-3,7, and is %.60r" % (pointer, text))
        found.update(range(int(first), int(last or first) + 1))
    return found


def namespaces(config: dict) -> dict:
    """The namespaces that are not the runtime's: a dict of type to path, None for a new one."""
    return {one["type"]: one.get("path") for one in config["linux"].get("namespaces") or []}


def _check_namespaces(config, linux, kinds):
    if len(kinds) != len(linux.get("namespaces") or []):
        names = [one["type"] for one in linux["namespaces"]]
        twice = next(number for number, name in enumerate(names) if name in names[:number])
        raise RuntimeFailure("/linux/namespaces/%d/type: %s is there twice" % (twice, names[twice]))
    if "mount" not in kinds:
        raise RuntimeFailure(
            "/linux/namespaces: should have one of type mount: there would be nothing to mount a root in"
        )
    for field in ("hostname", "domainname"):
        if config.get(field) and "uts" not in kinds:
            raise RuntimeFailure("/%s: can be set only with a namespace of type uts" % field)
    if linux.get("timeOffsets") and ("time" not in kinds or kinds["time"]):
        raise RuntimeFailure("/linux/timeOffsets: can be set only with a new namespace of type time")


def _check_mappings(linux, kinds):
    given = [name for name in ("uidMappings", "gidMappings") if linux.get(name)]
    if given and ("user" not in kinds or kinds["user"]):
        raise RuntimeFailure("/linux/%s: can be set only with a new namespace of type user" % given[0])
    if "user" in kinds and not kinds["user"] and len(given) != 2:
        raise RuntimeFailure("/linux/namespaces: a new one of type user needs uidMappings and gidMappings")
    for name in given:
        check_overlap(linux[name], "/linux/" + name)


def check_overlap(mappings: list, pointer: str) -> None:
    """Raise RuntimeFailure where two ranges of ids share one, which the kernel would refuse without saying where."""
    for number, one in enumerate(mappings):
        if one["size"] == 0:
            raise RuntimeFailure("%s/%d/size: should be above 0" % (pointer, number))
        for other in mappings[:number]:
            for field in ("containerID", "hostID"):
                if one[field] < other[field] + other["size"] and other[field] < one[field] + one["size"]:
                    raise RuntimeFailure("%s/%d/%s: overlaps another range" % (pointer, number, field))


def _check_sysctl(table, kinds):
    for name in table:
        plain = name.replace("/", ".")
        pointer = "/linux/sysctl/" + name.replace("~", "~0").replace("/", "~1")
        if not all(part and part != ".." for part in plain.split(".")) or plain != plain.strip():
            raise RuntimeFailure("%s: is no name of a kernel parameter" % pointer)
        if plain in ("kernel.domainname", "kernel.hostname"):
            needed = "uts"
        elif plain in _SYSCTL_IPC or plain.startswith("fs.mqueue."):
            needed = "ipc"
        elif plain.startswith("net."):
            needed = "network"
        else:
            raise RuntimeFailure("%s: is a parameter of the whole machine, not of a namespace" % pointer)
        if needed not in kinds:
            raise RuntimeFailure("%s: needs a namespace of type %s" % (pointer, needed))


def _check_mount(mount, pointer, kinds):
    if "\0" in mount["destination"]:
        raise RuntimeFailure("%s/destination: should have no NUL in it" % pointer)
    parsed = options.parse(mount.get("options") or [], pointer + "/options")
    if parsed.bind and not mount.get("source"):
        raise RuntimeFailure("%s/source: is required for a bind mount" % pointer)
    if not parsed.bind and not mount.get("type") and not parsed.remount:
        raise RuntimeFailure("%s/type: is required for what is not a bind mount" % pointer)
    mapped = [name for name in ("uidMappings", "gidMappings") if mount.get(name)]
    if mapped or parsed.idmap:
        if not parsed.bind:
            raise RuntimeFailure("%s: only a bind mount can have mapped ids" % pointer)
        if len(mapped) == 1:
            raise RuntimeFailure("%s: uidMappings and gidMappings come together" % pointer)
        if not mapped and kinds.get("user", "") is not None:
            raise RuntimeFailure("%s/uidMappings: is required where there is no new user namespace" % pointer)
        for name in mapped:
            check_overlap(mount[name], "%s/%s" % (pointer, name))
