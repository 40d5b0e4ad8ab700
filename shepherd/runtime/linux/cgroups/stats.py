"""What a group uses, as the object that `events` shows: the fields, and their names, are those that runc documents.

Bytes, nanoseconds and counts. A figure that this machine does not keep is 0 or absent; "no limit" is 2^64-1.
"""

import os

from shepherd.runtime.linux.cgroups import folders

_UNLIMITED = (1 << 64) - 1


def read(group) -> dict:
    """All figures of a cgroups.Group."""
    return {
        "cpu": _processor(group),
        "cpuset": _processors(group),
        "memory": _memory(group),
        "pids": _pids(group),
        "blkio": _blocks(group),
        "hugetlb": _huge_pages(group),
        "intel_rdt": {},
        "network_interfaces": None,
    }


def oom_kills(group) -> int:
    """memory.oom_control (since Linux 4.13), which counts for each group alone; memory.events, which sums up."""
    home = group.home("memory")
    if home is None:
        return 0
    if home[0] == 2:
        return _table(home[1], "memory.events").get("oom_kill", 0)
    return sum(_table(inner, "memory.oom_control").get("oom_kill", 0) for inner, _folders, _files in os.walk(home[1]))


def _text(folder, name):
    """What a file says; "" where there is none, or its controller is not there."""
    try:
        return folders.read(folder, name)
    except OSError:
        return ""


def _number(folder, name):
    text = _text(folder, name).strip()
    return _UNLIMITED if text == "max" else int(text or 0)


def _table(folder, name):
    """Lines of a word and a number."""
    pairs = (line.split() for line in _text(folder, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def numbers(text: str) -> list:
    """cpuset(7), "List format": 0-2,7 as [0, 1, 2, 7]."""
    found = []
    for part in text.split(",") if text else []:
        first, _dash, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _pressure(folder, name):
    """Documentation/accounting/psi.rst; None where the kernel does not measure it."""
    found = {}
    for line in _text(folder, name).splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=") for pair in pairs)
        found[kind] = {key: int(value) if key == "total" else float(value) for key, value in values.items()}
    return found or None


def _processor(group):
    usage, throttling = {"total": 0, "kernel": 0, "user": 0}, {"periods": 0, "throttledPeriods": 0, "throttledTime": 0}
    found = {"usage": usage, "throttling": throttling}
    home = group.home("cpu")
    if home is not None:
        table = _table(home[1], "cpu.stat")
        throttling["periods"] = table.get("nr_periods", 0)
        throttling["throttledPeriods"] = table.get("nr_throttled", 0)
        throttling["throttledTime"] = table.get("throttled_time", 1000 * table.get("throttled_usec", 0))
    home = group.home("cpuacct") or (2, group.unified)  # version 2 counts time also where it limits none
    if home[1] is None:
        return found
    if home[0] == 2:
        table = _table(home[1], "cpu.stat")
        names = (("total", "usage_usec"), ("kernel", "system_usec"), ("user", "user_usec"))
        usage.update((name, 1000 * table.get(key, 0)) for name, key in names)
        found["psi"] = _pressure(home[1], "cpu.pressure")
        return found
    for name, file in (("total", "cpuacct.usage"), ("kernel", "cpuacct.usage_sys"), ("user", "cpuacct.usage_user")):
        usage[name] = _number(home[1], file)
    for name, file in (("percpu", ""), ("percpu_kernel", "_sys"), ("percpu_user", "_user")):
        usage[name] = [int(one) for one in _text(home[1], "cpuacct.usage_percpu" + file).split()]
    return found


_FLAGS = ("cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
          "memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level")  # fmt: skip


def _processors(group):
    home = group.home("cpuset")
    if home is None:
        return {}
    if home[0] == 2:
        return {name: numbers(_text(home[1], "cpuset.%s.effective" % name).strip()) for name in ("cpus", "mems")}
    found = {name: numbers(_text(home[1], "cpuset." + name).strip()) for name in ("cpus", "mems")}
    found.update((name, _number(home[1], "cpuset." + name)) for name in _FLAGS)
    return found


def _memory(group):
    home = group.home("memory")
    if home is None:
        return {}
    version, folder = home
    raw = _table(folder, "memory.stat")
    found = {"raw": raw}
    if version == 1:
        found["cache"] = raw.get("cache", 0)
        for name, part in (("usage", ""), ("swap", "memsw."), ("kernel", "kmem."), ("kernelTCP", "kmem.tcp.")):
            found[name] = _entry(folder, "memory." + part)
        return found
    used, limit = _number(folder, "memory.current"), _number(folder, "memory.max")
    events = _table(folder, "memory.events")
    found["cache"] = raw.get("file", 0)
    usage = {"limit": limit, "usage": used, "max": _number(folder, "memory.peak"), "failcnt": events.get("max", 0)}
    found["usage"] = usage
    swap = _number(folder, "memory.swap.max")  # version 1's sum of memory and swap is what is shown
    both = _UNLIMITED if _UNLIMITED in (swap, limit) else swap + limit
    found["swap"] = {"limit": both, "usage": used + _number(folder, "memory.swap.current"), "max": 0, "failcnt": 0}
    found["kernel"] = {"limit": _UNLIMITED, "usage": raw.get("kernel", 0), "max": 0, "failcnt": 0}
    found["kernelTCP"] = {"limit": _UNLIMITED, "usage": raw.get("sock", 0), "max": 0, "failcnt": 0}
    found["event_count"] = {name: events.get(name, 0) for name in ("low", "high", "max", "oom", "oom_kill")}
    found["psi"] = _pressure(folder, "memory.pressure")
    return found


def _entry(folder, part):
    names = {"limit": "limit_in_bytes", "usage": "usage_in_bytes", "max": "max_usage_in_bytes", "failcnt": "failcnt"}
    return {name: _number(folder, part + file) for name, file in names.items()}


def _pids(group):
    home = group.home("pids")
    if home is None:
        return {"current": len(group.processes()), "limit": 0}
    limit = _number(home[1], "pids.max")
    return {"current": _number(home[1], "pids.current"), "limit": 0 if limit == _UNLIMITED else limit}


# word of io.stat: (array, operation)
_OPERATIONS = {
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "dbytes": ("ioServiceBytesRecursive", "Discard"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
    "dios": ("ioServicedRecursive", "Discard"),
}


def _blocks(group):
    home = group.home("blkio")
    if home is None:
        return {}
    version, folder = home
    found = {"ioServiceBytesRecursive": [], "ioServicedRecursive": []}
    if version == 2:
        for line in _text(folder, "io.stat").splitlines():
            device, *pairs = line.split()
            for word, value in (pair.split("=") for pair in pairs if "=" in pair):
                if word in _OPERATIONS:
                    name, operation = _OPERATIONS[word]
                    found[name].append(_operation(device, operation, value))
        found["psi"] = _pressure(folder, "io.pressure")
        return found
    for name, file in (("ioServiceBytesRecursive", "io_service_bytes"), ("ioServicedRecursive", "io_serviced")):
        text = _text(folder, "blkio.bfq.%s_recursive" % file)
        if len(text.splitlines()) < 2:  # the sum alone: another scheduler
            text = _text(folder, "blkio.throttle.%s_recursive" % file) or _text(folder, "blkio.throttle." + file)
        words = (line.split() for line in text.splitlines())
        found[name] = [_operation(*three) for three in words if len(three) == 3]
    return found


def _operation(device, operation, value):
    major, minor = device.split(":")
    return {"major": int(major), "minor": int(minor), "op": operation, "value": int(value)}


def _huge_pages(group):
    home = group.home("hugetlb")
    if home is None:
        return {}
    version, folder = home
    found = {}
    end = ".usage_in_bytes" if version == 1 else ".current"
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if not (name.startswith("hugetlb.") and name.endswith(end)) or ".rsvd" in name:
            continue
        size = name[len("hugetlb.") : -len(end)]
        if version == 1:
            entry = _entry(folder, "hugetlb.%s." % size)
            del entry["limit"]
        else:
            entry = {"usage": _number(folder, name), "max": 0, "failcnt": 0}
            entry["failcnt"] = _table(folder, "hugetlb.%s.events" % size).get("max", 0)
        found[size] = entry
    return found
