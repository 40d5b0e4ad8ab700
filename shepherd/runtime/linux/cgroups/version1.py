"""/linux/resources in version 1 (Documentation/admin-guide/cgroup-v1): a table of field → controller and files.

An entry is (controller, expand); expand(value, all resources) gives the Settings that the value comes to, none where
it says that nothing is to be set. Numbers are bytes and microseconds, as in the specification. 0 stands for "not said"
where the kernel takes no 0, as other runtimes have it.
"""

from shepherd.runtime.linux.cgroups.settings import Setting, each_device, each_page_size, keyed, rdma


def _number(file, zero=False):
    def expand(value, _all):
        return [Setting(file, str(value))] if value or zero else []

    return expand


def _kernel(file):
    """Newer kernels count it with the rest: they have no such file, or one to which a write does nothing."""

    def expand(value, _all):
        unlimited = value == -1
        # what holds is rounded to pages
        holds = None if unlimited else lambda content: int(content or value) < value + (1 << 20)
        return [Setting(file, str(value), optional=unlimited, holds=holds)] if value else []

    return expand


def _text(file):
    return lambda value, _all: [Setting(file, value)] if value else []


def _flag(file, former=None):
    return lambda value, _all: [Setting(file, "1" if value else "0", former=former)]


def _memory_limit(value, resources):
    """No limit of memory means none of memory and swap, where nothing else is said of that."""
    found = [Setting("memory.limit_in_bytes", str(value))] if value else []
    if value == -1 and not resources["memory"].get("swap"):
        found.insert(0, Setting("memory.memsw.limit_in_bytes", "-1", optional=True))
    return found


def _quota(value, _all):
    return [Setting("cpu.cfs_quota_us", str(max(value, -1)))] if value else []


def _pids(value, _all):
    return [Setting("pids.max", str(value) if value > 0 else "max")]


def _weight(file):
    """BFQ's file or that of CFQ, which was taken out of Linux 5.0."""
    return lambda value, _all: [Setting(("blkio.bfq." + file, "blkio." + file), str(value))] if value else []


def _device_weight(names, one):
    return Setting(names, "%s %d" % (one.key, one.value), former=keyed(one.key, one.key + " default"))


def _weights(value, _all):
    names = ("blkio.bfq.weight_device", "blkio.weight_device")
    found = each_device(value, "weight", lambda one: _device_weight(names, one))
    return found + each_device(value, "leafWeight", lambda one: _device_weight("blkio.leaf_weight_device", one))


def _throttle(file):
    def one(device):
        line = "%s %d" % (device.key, device.value)
        return Setting("blkio.throttle." + file, line, former=keyed(device.key, device.key + " 0"))

    return lambda value, _all: each_device(value, "rate", one)


def _priorities(value, _all):
    found = []
    for number, one in enumerate(value):
        line = "%s %d" % (one["name"], one["priority"])
        former = keyed(one["name"], one["name"] + " 0")
        found.append(Setting("net_prio.ifpriomap", line, "/%d/name" % number, former))
    return found


FIELDS = {
    "memory/useHierarchy": ("memory", _flag("memory.use_hierarchy")),
    "memory/limit": ("memory", _memory_limit),
    "memory/swap": ("memory", _number("memory.memsw.limit_in_bytes")),
    "memory/reservation": ("memory", _number("memory.soft_limit_in_bytes")),
    "memory/kernel": ("memory", _kernel("memory.kmem.limit_in_bytes")),
    "memory/kernelTCP": ("memory", _kernel("memory.kmem.tcp.limit_in_bytes")),
    "memory/swappiness": ("memory", _number("memory.swappiness", zero=True)),
    "memory/disableOOMKiller": ("memory", _flag("memory.oom_control", lambda content: content.split()[1])),
    "memory/checkBeforeUpdate": ("memory", lambda _value, _all: []),  # the kernel does so
    "cpu/shares": ("cpu", _number("cpu.shares")),
    "cpu/period": ("cpu", _number("cpu.cfs_period_us")),
    "cpu/quota": ("cpu", _quota),
    "cpu/burst": ("cpu", _number("cpu.cfs_burst_us", zero=True)),
    "cpu/realtimePeriod": ("cpu", _number("cpu.rt_period_us")),
    "cpu/realtimeRuntime": ("cpu", _number("cpu.rt_runtime_us")),
    "cpu/idle": ("cpu", _number("cpu.idle", zero=True)),
    "cpu/cpus": ("cpuset", _text("cpuset.cpus")),
    "cpu/mems": ("cpuset", _text("cpuset.mems")),
    "pids/limit": ("pids", _pids),
    "blockIO/weight": ("blkio", _weight("weight")),
    "blockIO/leafWeight": ("blkio", _number("blkio.leaf_weight")),
    "blockIO/weightDevice": ("blkio", _weights),
    "blockIO/throttleReadBpsDevice": ("blkio", _throttle("read_bps_device")),
    "blockIO/throttleWriteBpsDevice": ("blkio", _throttle("write_bps_device")),
    "blockIO/throttleReadIOPSDevice": ("blkio", _throttle("read_iops_device")),
    "blockIO/throttleWriteIOPSDevice": ("blkio", _throttle("write_iops_device")),
    "hugepageLimits": ("hugetlb", each_page_size("hugetlb.%s.limit_in_bytes", "hugetlb.%s.rsvd.limit_in_bytes")),
    "network/classID": ("net_cls", _number("net_cls.classid")),
    "network/priorities": ("net_prio", _priorities),
    "rdma": ("rdma", rdma),
}
