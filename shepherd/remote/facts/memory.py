"""Memory, from /proc/meminfo."""

from shepherd.remote.facts import files


def collect():
    told = files.assignments("/proc/meminfo", ":") or {}
    size = {name: int(value.split()[0]) // 1024 for name, value in told.items() if value}
    total, free = size.get("MemTotal", 0), size.get("MemFree", 0)
    swap_total, swap_free = size.get("SwapTotal", 0), size.get("SwapFree", 0)
    # what the kernel holds and gives back when asked
    nocache = _kilobytes(told, "MemFree", "Cached", "Buffers") // 1024
    return {
        "memtotal_mb": total,
        "memfree_mb": free,
        "swaptotal_mb": swap_total,
        "swapfree_mb": swap_free,
        "memory_mb": {
            "real": {"total": total, "used": total - free, "free": free},
            "nocache": {"free": nocache, "used": total - nocache},
            "swap": {
                "total": swap_total,
                "free": swap_free,
                "used": swap_total - swap_free,
                "cached": size.get("SwapCached", 0),
            },
        },
    }


def _kilobytes(told, *names):
    return sum(int(told[name].split()[0]) for name in names if told.get(name))
