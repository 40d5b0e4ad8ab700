"""/linux/resources in version 2 (Documentation/admin-guide/cgroup-v2.rst): a table as in version1.py.

The specification speaks version 1's language; the conversions are those that runc and crun document.
"""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.cgroups.settings import Setting, each_device, each_page_size, keyed, rdma

_LARGEST_SHARES, _LARGEST_WEIGHT = 262144, 10000


def weight_of_shares(shares: int) -> int:
    """cpu.weight (1 to 10000, 100 if nothing is said) for cpu.shares (2 to 262144, 1024 if nothing is said).

    The curve through the three pairs of the least, the usual and the largest, in logarithms.
    """
    if shares <= 2:
        return 1
    if shares >= _LARGEST_SHARES:
        return _LARGEST_WEIGHT
    import math

    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def weight_of_blkio(weight: int) -> int:
    """io.weight (1 to 10000) for blkio.weight (10 to 1000)."""
    return 1 + (weight - 10) * 9999 // 990


def _amount(value):
    return "max" if value < 0 else str(value)


def _limit(file):
    return lambda value, _all: [Setting(file, _amount(value))] if value else []


def _memory_limit(value, resources):
    """What is left for swap depends on it. No limit of memory means none of swap, where nothing is said of that."""
    if not value:
        return []
    found = [Setting("memory.max", _amount(value))]
    swap = resources["memory"].get("swap") or 0
    if value == -1 and not swap:
        found.append(Setting("memory.swap.max", "max", optional=True))
    return found + _swap(swap, resources)


def _swap(value, resources):
    """Version 1 counts memory and swap together, version 2 swap alone."""
    if not value:
        return []
    limit = resources["memory"].get("limit") or 0
    if value == -1:
        return [Setting("memory.swap.max", "max")]
    if limit <= 0:
        raise RuntimeFailure("needs a limit of memory too: it is that of memory and swap together")
    return [Setting("memory.swap.max", str(value - limit))]


def _shares(value, _all):
    return [Setting("cpu.weight", str(weight_of_shares(value)))] if value else []


def _maximum(value, resources):
    """Quota and period are one file."""
    said = resources["cpu"]
    quota, period = said.get("quota") or 0, said.get("period") or 0
    if not value:
        return []
    return [Setting("cpu.max", "%s %d" % (quota if quota > 0 else "max", period or 100000))]


def _number(file):
    return lambda value, _all: [Setting(file, str(value))]


def _text(file):
    return lambda value, _all: [Setting(file, value)] if value else []


def _pids(value, _all):
    return [Setting("pids.max", str(value) if value > 0 else "max")]


_WEIGHTS = ("io.bfq.weight", "io.weight")


def _weight(value, _all):
    if not value:
        return []
    texts = ("default %d" % value, "default %d" % weight_of_blkio(value))
    return [Setting(_WEIGHTS, texts, former=keyed("default", "default 100"))]


def _weights(value, _all):
    for number, entry in enumerate(value):
        if entry.get("leafWeight") is not None:
            raise RuntimeFailure("/%d/leafWeight: %s" % (number, _ABSENT))

    def one(device):
        texts = ("%s %d" % (device.key, device.value), "%s %d" % (device.key, weight_of_blkio(device.value)))
        return Setting(_WEIGHTS, texts, former=keyed(device.key, device.key + " default"))

    return each_device(value, "weight", one)


def _throttle(word):
    def one(device):
        line = "%s %s=%s" % (device.key, word, device.value or "max")
        return Setting("io.max", line, former=keyed(device.key, device.key + " rbps=max wbps=max riops=max wiops=max"))

    return lambda value, _all: each_device(value, "rate", one)


_ABSENT = "version 2 of control groups has no such limit"


def _absent(value, _all):
    """0, false and no limit are as good as nothing."""
    if value and value != -1:
        raise RuntimeFailure(_ABSENT)
    return []


def _swappiness(_value, _all):
    raise RuntimeFailure(_ABSENT)  # 0 would mean something


def _hierarchy(value, _all):
    if not value:
        raise RuntimeFailure("version 2 of control groups always counts what is below a group")
    return []


FIELDS = {
    "memory/useHierarchy": ("memory", _hierarchy),
    "memory/limit": ("memory", _memory_limit),
    "memory/swap": ("memory", _swap),
    "memory/reservation": ("memory", _limit("memory.low")),
    "memory/kernel": ("memory", _absent),
    "memory/kernelTCP": ("memory", _absent),
    "memory/swappiness": ("memory", _swappiness),
    "memory/disableOOMKiller": ("memory", _absent),
    "memory/checkBeforeUpdate": ("memory", lambda _value, _all: []),  # limits.py does so
    "cpu/shares": ("cpu", _shares),
    "cpu/period": ("cpu", _maximum),
    "cpu/quota": ("cpu", _maximum),
    "cpu/burst": ("cpu", _number("cpu.max.burst")),
    "cpu/realtimePeriod": ("cpu", _absent),
    "cpu/realtimeRuntime": ("cpu", _absent),
    "cpu/idle": ("cpu", _number("cpu.idle")),
    "cpu/cpus": ("cpuset", _text("cpuset.cpus")),
    "cpu/mems": ("cpuset", _text("cpuset.mems")),
    "pids/limit": ("pids", _pids),
    "blockIO/weight": ("io", _weight),
    "blockIO/leafWeight": ("io", _absent),
    "blockIO/weightDevice": ("io", _weights),
    "blockIO/throttleReadBpsDevice": ("io", _throttle("rbps")),
    "blockIO/throttleWriteBpsDevice": ("io", _throttle("wbps")),
    "blockIO/throttleReadIOPSDevice": ("io", _throttle("riops")),
    "blockIO/throttleWriteIOPSDevice": ("io", _throttle("wiops")),
    "hugepageLimits": ("hugetlb", each_page_size("hugetlb.%s.max", "hugetlb.%s.rsvd.max")),
    "network/classID": ("", _absent),
    "network/priorities": ("", _absent),
    "rdma": ("rdma", rdma),
}
