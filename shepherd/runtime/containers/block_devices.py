"""How fast a container may read and write block devices: what `run` says of it, and what config.json does.

config-linux.md, "Block IO"; kernel, cgroup-v1/blkio-controller.rst and cgroup-v2.rst, "IO".
"""

import os
import stat

from shepherd.runtime.errors import RuntimeFailure

# option of `run` → field of HostConfig, what its entries say beside the device's Path, and linux.resources.blockIO's
OPTIONS = {
    "--blkio-weight-device": ("BlkioWeightDevice", "Weight", "weightDevice"),
    "--device-read-bps": ("BlkioDeviceReadBps", "Rate", "throttleReadBpsDevice"),
    "--device-write-bps": ("BlkioDeviceWriteBps", "Rate", "throttleWriteBpsDevice"),
    "--device-read-iops": ("BlkioDeviceReadIOps", "Rate", "throttleReadIOPSDevice"),
    "--device-write-iops": ("BlkioDeviceWriteIOps", "Rate", "throttleWriteIOPSDevice"),
}


def resources(host: dict) -> dict:
    """`blockIO` of a HostConfig, with the devices' numbers as they are now. Raises RuntimeFailure."""
    found = {}
    if host.get("BlkioWeight"):
        found["weight"] = host["BlkioWeight"]
    for option, (field, amount, name) in OPTIONS.items():
        if host.get(field):
            found[name] = [dict(_numbers(option, one["Path"]), **{amount.lower(): one[amount]}) for one in host[field]]
    return found


def _numbers(option, path):
    try:
        found = os.stat(path)
    except OSError as error:
        raise RuntimeFailure("%s %s: %s" % (option, path, error.strerror)) from None
    if not stat.S_ISBLK(found.st_mode):
        raise RuntimeFailure("%s %s: is no block device" % (option, path))
    return {"major": os.major(found.st_rdev), "minor": os.minor(found.st_rdev)}
