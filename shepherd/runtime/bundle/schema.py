"""The shape of config.json as data (OCI runtime specification, config.md and config-linux.md), and the check of it.

A dict is an object: its keys are field names, with "!" where the field is required; "*" stands for any name. A list is
an array of what it holds. A str is a kind of value, from KINDS; a tuple lists the words that are allowed. Fields that
are not named here are left alone, as the specification demands ("Extensibility").
"""

from shepherd.runtime.errors import RuntimeFailure


def _is_integer(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_path(value):
    return isinstance(value, str) and value.startswith("/") and "\0" not in value


# name: (test, what it should be)
KINDS = {
    "string": (lambda value: isinstance(value, str) and "\0" not in value, "a string"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "int32": (lambda value: _is_integer(value, -(1 << 31), (1 << 31) - 1), "a whole number of 32 bits"),
    "int64": (lambda value: _is_integer(value, -(1 << 63), (1 << 63) - 1), "a whole number of 64 bits"),
    "uint16": (lambda value: _is_integer(value, 0, (1 << 16) - 1), "a whole number from 0 to 65535"),
    "uint32": (lambda value: _is_integer(value, 0, (1 << 32) - 1), "a whole number from 0 to 4294967295"),
    "uint64": (lambda value: _is_integer(value, 0, (1 << 64) - 1), "a whole number from 0 to 2^64-1"),
    # (uid_t) -1 means "no change" to the kernel
    "id": (lambda value: _is_integer(value, 0, (1 << 32) - 2), "a whole number from 0 to 4294967294"),
    "positive": (lambda value: _is_integer(value, 1, (1 << 31) - 1), "a whole number above 0"),
    "path": (_is_path, "an absolute path"),
    "name": (lambda value: isinstance(value, str) and value and "\0" not in value, "a string that is not empty"),
    "object": (lambda value: isinstance(value, dict), "an object"),
}

MAPPINGS = [{"containerID!": "uint32", "hostID!": "uint32", "size!": "uint32"}]
HOOKS = [{"path!": "path", "args": ["string"], "env": ["string"], "timeout": "positive"}]

PROCESS = {
    "terminal": "bool",
    "consoleSize": {"height!": "uint16", "width!": "uint16"},
    "cwd!": "path",
    "env": ["string"],
    "args!": ["string"],
    "user": {"uid!": "id", "gid!": "id", "umask": "uint32", "additionalGids": ["id"], "username": "string"},
    "capabilities": {
        "bounding": ["string"],
        "effective": ["string"],
        "inheritable": ["string"],
        "permitted": ["string"],
        "ambient": ["string"],
    },
    "rlimits": [{"type!": "string", "soft!": "uint64", "hard!": "uint64"}],
    "apparmorProfile": "string",
    "selinuxLabel": "string",
    "noNewPrivileges": "bool",
    "oomScoreAdj": "int32",
    "scheduler": {
        "policy!": (
            "SCHED_OTHER",
            "SCHED_FIFO",
            "SCHED_RR",
            "SCHED_BATCH",
            "SCHED_ISO",
            "SCHED_IDLE",
            "SCHED_DEADLINE",
        ),
        "nice": "int32",
        "priority": "int32",
        "flags": ["string"],
        "runtime": "uint64",
        "deadline": "uint64",
        "period": "uint64",
    },
    "ioPriority": {"class!": ("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"), "priority": "int32"},
    "execCPUAffinity": {"initial": "string", "final": "string"},
}

_RATES = [{"major!": "int64", "minor!": "int64", "rate!": "uint64"}]
RESOURCES = {
    "devices": [
        {"allow!": "bool", "type": ("", "a", "b", "c"), "major": "int64", "minor": "int64", "access": "string"},
    ],
    "memory": {
        "limit": "int64",
        "reservation": "int64",
        "swap": "int64",
        "kernel": "int64",
        "kernelTCP": "int64",
        "swappiness": "uint64",
        "disableOOMKiller": "bool",
        "useHierarchy": "bool",
        "checkBeforeUpdate": "bool",
    },
    "cpu": {
        "shares": "uint64",
        "quota": "int64",
        "burst": "uint64",
        "period": "uint64",
        "realtimeRuntime": "int64",
        "realtimePeriod": "uint64",
        "cpus": "string",
        "mems": "string",
        "idle": "int64",
    },
    "pids": {"limit!": "int64"},
    "blockIO": {
        "weight": "uint16",
        "leafWeight": "uint16",
        "weightDevice": [{"major!": "int64", "minor!": "int64", "weight": "uint16", "leafWeight": "uint16"}],
        "throttleReadBpsDevice": _RATES,
        "throttleWriteBpsDevice": _RATES,
        "throttleReadIOPSDevice": _RATES,
        "throttleWriteIOPSDevice": _RATES,
    },
    "hugepageLimits": [{"pageSize!": "name", "limit!": "uint64"}],
    "network": {"classID": "uint32", "priorities": [{"name!": "name", "priority!": "uint32"}]},
    "rdma": {"*": {"hcaHandles": "uint32", "hcaObjects": "uint32"}},
    "unified": {"*": "string"},
}

LINUX = {
    "namespaces": [
        {"type!": ("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"), "path": "path"},
    ],
    "uidMappings": MAPPINGS,
    "gidMappings": MAPPINGS,
    "timeOffsets": {"*": {"secs": "int64", "nanosecs": "uint32"}},
    "devices": [
        {
            "type!": ("b", "c", "u", "p"),
            "path!": "path",
            "major": "int64",
            "minor": "int64",
            "fileMode": "uint32",
            "uid": "id",
            "gid": "id",
        }
    ],
    "cgroupsPath": "string",
    "resources": RESOURCES,
    "rootfsPropagation": (
        "",
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
    ),
    "seccomp": "object",
    "sysctl": {"*": "string"},
    "maskedPaths": ["path"],
    "readonlyPaths": ["path"],
    "mountLabel": "string",
    "personality": {"domain!": ("LINUX", "LINUX32"), "flags": ["string"]},
    "intelRdt": "object",
}

CONFIG = {
    "ociVersion!": "name",
    "root": {"path!": "name", "readonly": "bool"},
    "mounts": [
        {
            "destination!": "name",
            "type": "string",
            "source": "string",
            "options": ["string"],
            "uidMappings": MAPPINGS,
            "gidMappings": MAPPINGS,
        }
    ],
    "process": PROCESS,
    "hostname": "string",
    "domainname": "string",
    "hooks": {
        "prestart": HOOKS,
        "createRuntime": HOOKS,
        "createContainer": HOOKS,
        "startContainer": HOOKS,
        "poststart": HOOKS,
        "poststop": HOOKS,
    },
    "annotations": {"*": "string"},
    "linux": LINUX,
}


def check(value, shape, pointer: str = "") -> None:
    """Raise RuntimeFailure with the JSON pointer (RFC 6901) of the first value that does not have its shape.

    null stands for a field that is absent, as encoders of other languages write it.
    """
    if isinstance(shape, str):
        test, expected = KINDS[shape]
        if not test(value):
            raise _wrong(pointer, value, expected)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise _wrong(pointer, value, "an object")
        for name, inner in shape.items():
            if name == "*":
                for key, one in value.items():
                    check(one, inner, "%s/%s" % (pointer, _escaped(key)))
                continue
            required = name.endswith("!")
            name = name.rstrip("!")
            found = value.get(name)
            if found is not None:
                check(found, inner, "%s/%s" % (pointer, name))
            elif required:
                raise RuntimeFailure("%s/%s: is required" % (pointer, name))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _wrong(pointer, value, "an array")
        for number, one in enumerate(value):
            check(one, shape[0], "%s/%d" % (pointer, number))
    elif value not in shape or not isinstance(value, str):
        raise _wrong(pointer, value, "one of " + ", ".join(word for word in shape if word))


def _escaped(name):
    return name.replace("~", "~0").replace("/", "~1")


def _wrong(pointer, value, expected):
    return RuntimeFailure("%s: should be %s, and is %.60r" % (pointer or "/", expected, value))
