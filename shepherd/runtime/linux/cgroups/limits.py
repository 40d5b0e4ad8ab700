"""Limits of /linux/resources (config-linux.md, "Control groups"): from fields to files, by the tables of both versions.

Each controller is asked for in the version that has it on this machine. What cannot be set is an error that names the
field, and never left out.
"""

import errno
import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.cgroups import folders, version1, version2

_TABLES = {1: version1.FIELDS, 2: version2.FIELDS}
_SIZE = frozenset("0123456789")


class _Write:
    """A Setting in its place: the field it is for, and the file."""

    def __init__(self, pointer, setting, path, text):
        self.pointer = pointer
        self.setting = setting
        self.path = path
        self.text = text
        self.former = None


def apply(group, resources: dict, kept=None) -> None:
    """Set what `resources` say. `kept` is what holds for the group afterwards, if that is more than these."""
    whole = resources if kept is None else kept
    check(whole)
    if (whole.get("memory") or {}).get("checkBeforeUpdate"):
        _check_usage(group, resources["memory"] if resources.get("memory") else {})
    writes = _plan(group, resources, whole)
    done = []
    try:
        _write_all(writes, done, kept is not None)
    except RuntimeFailure:
        for write in reversed(done):
            if write.former is not None:
                folders.write(write.path, write.former)
        raise


def check(resources: dict) -> None:
    """Raise RuntimeFailure for what no kernel takes, before anything is written."""
    memory, cpu, block = (resources.get(name) or {} for name in ("memory", "cpu", "blockIO"))
    limit, swap = memory.get("limit") or 0, memory.get("swap") or 0
    if 0 < swap < limit:
        raise _wrong("memory/swap", "should not be below limit: it is that of memory and swap together")
    for name in ("limit", "swap", "reservation", "kernel", "kernelTCP"):
        if (memory.get(name) or 0) < -1:
            raise _wrong("memory/" + name, "should be a number of bytes, or -1 for no limit")
    if (memory.get("swappiness") or 0) > 100:
        raise _wrong("memory/swappiness", "should be from 0 to 100")
    if 0 < (cpu.get("quota") or 0) < (cpu.get("burst") or 0):
        raise _wrong("cpu/burst", "should not be above quota")
    if cpu.get("idle") not in (None, 0, 1):
        raise _wrong("cpu/idle", "should be 0 or 1")
    for number, entry in enumerate(block.get("weightDevice") or []):
        if entry.get("weight") is None and entry.get("leafWeight") is None:
            raise _wrong("blockIO/weightDevice/%d" % number, "should have weight or leafWeight")
        _check_weights("blockIO/weightDevice/%d" % number, entry)
    _check_weights("blockIO", block)
    for number, entry in enumerate(resources.get("hugepageLimits") or []):
        size = entry["pageSize"]
        if size[-2:] not in ("KB", "MB", "GB") or not size[:-2] or not _SIZE.issuperset(size[:-2]) or size[0] == "0":
            raise _wrong("hugepageLimits/%d/pageSize" % number, "should be like 64KB, 2MB or 1GB, and is %.40r" % size)
    names = [("network/priorities/%d/name" % number, one["name"])
             for number, one in enumerate((resources.get("network") or {}).get("priorities") or [])]  # fmt: skip
    for name, entry in (resources.get("rdma") or {}).items():
        names.append(("rdma/" + name, name))
        if entry.get("hcaHandles") is None and entry.get("hcaObjects") is None:
            raise _wrong("rdma/%.60s" % name, "should have hcaHandles or hcaObjects")
    names += [("unified/" + name, name) for name in resources.get("unified") or {}]
    for pointer, name in names:
        if not name or name.startswith(".") or "/" in name or name.split() != [name]:
            raise _wrong(pointer, "%.60r is no name" % name)


def _check_weights(pointer, entry):
    for name in ("weight", "leafWeight"):
        if (entry.get(name) or 10) not in range(10, 1001):
            raise _wrong("%s/%s" % (pointer, name), "should be from 10 to 1000")


def _wrong(field, message, hint=None):
    return RuntimeFailure("/linux/resources/%s: %s" % (field, message), hint)


def _check_usage(group, memory):
    """memory/checkBeforeUpdate: version 1 refuses a limit below what is used; version 2 would end processes."""
    limit = memory.get("limit") or -1
    home = group.home("memory")
    if limit < 0 or home is None or home[0] == 1:
        return
    used = int(folders.read(home[1], "memory.current"))
    if used > limit:
        raise _wrong("memory/limit", "the container uses %d bytes now, which is more than %d" % (used, limit))


def _fields(resources):
    """(field, value) of all that is said, in the order of the tables."""
    for field in version1.FIELDS:
        value = resources
        for name in field.split("/"):
            value = value.get(name) if value is not None else None
        if value is not None:
            yield field, value


def _plan(group, resources, whole):
    writes = []
    for field, value in _fields(resources):
        writes += _plan_field(group, field, value, whole)
    for name, value in (resources.get("unified") or {}).items():
        path = os.path.join(group.unified or "", name)
        if group.unified is None:
            raise _wrong("unified/" + name, "this machine has no version 2 of control groups")
        if not os.path.exists(path):
            raise _wrong("unified/" + name, _why_absent(group, name.split(".")[0], name))
        writes.append(_Write("unified/" + name, version2.Setting(name, value), path, value))
    return writes


def _plan_field(group, field, value, whole):
    home = group.home(version1.FIELDS[field][0])
    version = home[0] if home else 2
    controller, expand = _TABLES[version][field]
    if home is None and not controller:
        raise _wrong(field, _why_absent(group, version1.FIELDS[field][0], None), "it is of version 1 alone")
    try:
        settings = expand(value, whole)
    except RuntimeFailure as error:
        joined = "" if error.message.startswith("/") else ": "
        raise RuntimeFailure("/linux/resources/%s%s%s" % (field, joined, error.message), error.hint) from None
    found = []
    for setting in settings:
        pointer = field + setting.pointer
        if home is None:
            if setting.optional:
                continue
            raise _wrong(pointer, _why_absent(group, version1.FIELDS[field][0], None))
        for name, text in zip(setting.files, setting.texts):
            path = os.path.join(home[1], name)
            if os.path.exists(path):
                found.append(_Write(pointer, setting, path, text))
                break
        else:
            if not setting.optional:
                raise _wrong(pointer, _why_absent(group, controller, " or ".join(setting.files)))
    return found


def _why_absent(group, controller, file):
    """Why there is no such file, or no file at all where it is None."""
    if file is None:
        return "this machine has no control groups with the controller %s" % controller
    home = group.home(controller)
    if home is not None and home[0] == 2 and controller not in folders.read(home[1], "cgroup.controllers").split():
        return "the controller %s is not handed down to the group /%s" % (controller, group.path)
    return "the control groups of this machine have no file %s" % file


def _write_all(writes, done, undoable):
    """In the order of the table. One that depends on another (quota on burst, memory on swap) is tried again after."""
    waiting = writes
    while waiting:
        refused = []
        for write in waiting:
            if undoable and write.former is None:
                write.former = write.setting.former(folders.read(write.path))
            try:
                folders.write(write.path, write.text)
                done.append(write)
                holds = write.setting.holds
                if holds is not None and not holds(folders.read(write.path).strip()):
                    raise OSError(errno.EOPNOTSUPP, "")
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise _refusal(write, error) from None
                refused.append((write, error))
        if len(refused) == len(waiting):
            raise _refusal(*refused[0]) from None
        waiting = [write for write, _error in refused]


_REASONS = {
    errno.EINVAL: "the kernel does not take it",
    errno.ERANGE: "it is outside of what the kernel takes",
    errno.ENODEV: "there is no such device",
    errno.EOPNOTSUPP: "this kernel has no such limit any more",
    524: "this kernel has no such limit any more",  # ENOTSUPP, which has no name outside of the kernel
    errno.EBUSY: "it is below what is used now",
}
# by the end of a file's name, what else there is to know
_HINTS = {
    "cpu.rt_runtime_us": "the groups above it have to have as much: see cpu.rt_runtime_us there",
    "cpuset.cpus": "it should be a list such as 0-3,7 of processors that the group above has",
    "cpuset.mems": "it should be a list such as 0-1 of memory nodes that the group above has",
    "memory.limit_in_bytes": "a limit above that of memory and swap together needs a new one of swap, too",
}


def _refusal(write, error):
    name = os.path.basename(write.path)
    reason = _REASONS.get(error.errno) or os.strerror(error.errno)
    return _wrong(write.pointer, "cannot write %.60r to %s: %s" % (write.text, name, reason), _HINTS.get(name))
