"""What a container uses and has met, read from its control group's files (cgroup-v1/*.rst, cgroup-v2.rst)."""

import os

from shepherd.runtime.linux import cgroups


def _file(group, controller, old, new):
    """The path of a group's file of version 1 or 2; None where the controller is not there."""
    unified = None
    for target, kind, names in cgroups.hierarchies():
        if kind == "cgroup2":
            unified = os.path.join(target, group, new)
        elif controller in names:
            return os.path.join(target, group, old)
    return unified


def _read(group, controller, old, new):
    path = _file(group, controller, old, new)
    try:
        with open(path) as file:
            return file.read()
    except (OSError, TypeError):
        return ""


def _fields(text):
    return {line.split()[0]: line.split()[1] for line in text.splitlines() if len(line.split()) == 2}


def out_of_memory(group: str) -> bool:
    """Whether the kernel killed one of its processes because the group had no memory left."""
    return int(_fields(_read(group, "memory", "memory.oom_control", "memory.events")).get("oom_kill", 0)) > 0


def sample(group: str) -> dict:
    """cpu in seconds; memory and limit in bytes; pids; bytes read and written of block devices."""
    cpu = _fields(_read(group, "cpuacct", "cpuacct.usage_percpu", "cpu.stat")).get("usage_usec")
    if cpu is not None:
        seconds = int(cpu) / 1e6
    else:
        seconds = int(_read(group, "cpuacct", "cpuacct.usage", "none") or 0) / 1e9
    memory = int(_read(group, "memory", "memory.usage_in_bytes", "memory.current") or 0)
    inactive = _fields(_read(group, "memory", "memory.stat", "memory.stat"))
    memory -= min(memory, int(inactive.get("total_inactive_file", inactive.get("inactive_file", 0))))
    limit = _read(group, "memory", "memory.limit_in_bytes", "memory.max").strip()
    total = _machine_memory()
    limit = min(int(limit), total) if limit.isdigit() else total
    pids = int(_read(group, "pids", "pids.current", "pids.current") or 0)
    read, written = _block(group)
    return {"cpu": seconds, "memory": memory, "limit": limit, "pids": pids, "read": read, "written": written}


def _block(group):
    read = written = 0
    for line in _read(group, "blkio", "blkio.throttle.io_service_bytes", "io.stat").splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in ("Read", "Write"):
            read += int(words[2]) if words[1] == "Read" else 0
            written += int(words[2]) if words[1] == "Write" else 0
        for word in words[1:]:
            name, equals, value = word.partition("=")
            if equals and value.isdigit():
                read += int(value) if name == "rbytes" else 0
                written += int(value) if name == "wbytes" else 0
    return read, written


def _machine_memory():
    with open("/proc/meminfo") as file:
        return int(file.readline().split()[1]) * 1024


def network(pid: int) -> tuple:
    """Bytes received and sent by all interfaces of the process's network but its own loop (proc(5), net/dev)."""
    received = sent = 0
    try:
        with open("/proc/%d/net/dev" % pid) as file:
            for line in file.readlines()[2:]:
                name, _, rest = line.partition(":")
                fields = rest.split()
                if name.strip() != "lo":
                    received, sent = received + int(fields[0]), sent + int(fields[8])
    except OSError:
        pass  # it has ended
    return received, sent
