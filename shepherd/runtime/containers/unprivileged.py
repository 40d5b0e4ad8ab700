"""What an ordinary user may declare of a container: without a control group of the user's own, nothing is limited."""

from shepherd.runtime.bundle import groups
from shepherd.runtime.containers import block_devices
from shepherd.runtime.errors import RuntimeFailure

# field of HostConfig → the option that says it
_LIMITS = {
    "Memory": "--memory",
    "MemoryReservation": "--memory-reservation",
    "MemorySwap": "--memory-swap",
    "MemorySwappiness": "--memory-swappiness",
    "CpuShares": "--cpu-shares",
    "CpuQuota": "--cpu-quota",
    "CpuPeriod": "--cpu-period",
    "NanoCpus": "--cpus",
    "CpusetCpus": "--cpuset-cpus",
    "CpusetMems": "--cpuset-mems",
    "PidsLimit": "--pids-limit",
    "BlkioWeight": "--blkio-weight",
}
_LIMITS.update((one[0], option) for option, one in block_devices.OPTIONS.items())


def settle(host: dict) -> None:
    """Complete a new container's HostConfig: its group is below what was delegated. Raises RuntimeFailure."""
    if host.get("DeviceCgroupRules"):
        raise RuntimeFailure("--device-cgroup-rule: only root can make rules for devices")
    if groups.delegated() is not None:
        host["CgroupParent"] = host.get("CgroupParent") or "/" + groups.parent()
        return
    if host.get("PidMode") == "host":
        raise RuntimeFailure("--pid host: without a control group nothing would end what such a container leaves")
    asked = [option for field, option in _LIMITS.items() if host.get(field)] + (
        ["--cgroup-parent"] if host.get("CgroupParent") else []
    )
    if asked:
        raise RuntimeFailure("%s: no control group is delegated to this user" % ", ".join(asked), groups.REMEDY)
