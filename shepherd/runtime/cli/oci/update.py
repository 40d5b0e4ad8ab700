"""`update [OPTIONS] ID`: change limits of a container that runs."""

import sys

from shepherd.runtime.bundle import document, lifecycle, schema
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

# option: (object in linux.resources, field, kind)
_FIELDS = {
    "--blkio-weight": ("blockIO", "weight", int),
    "--cpu-period": ("cpu", "period", int),
    "--cpu-quota": ("cpu", "quota", int),
    "--cpu-burst": ("cpu", "burst", int),
    "--cpu-share": ("cpu", "shares", int),
    "--cpu-shares": ("cpu", "shares", int),
    "--cpu-rt-period": ("cpu", "realtimePeriod", int),
    "--cpu-rt-runtime": ("cpu", "realtimeRuntime", int),
    "--cpu-idle": ("cpu", "idle", int),
    "--cpuset-cpus": ("cpu", "cpus", str),
    "--cpuset-mems": ("cpu", "mems", str),
    "--kernel-memory": ("memory", "kernel", int),
    "--kernel-memory-tcp": ("memory", "kernelTCP", int),
    "--memory": ("memory", "limit", int),
    "--memory-reservation": ("memory", "reservation", int),
    "--memory-swap": ("memory", "swap", int),
    "--pids-limit": ("pids", "limit", int),
}
TABLE = {option: (option[2:].replace("-", "_"), str) for option in _FIELDS}
TABLE.update({"--resources": ("resources", str), "-r": ("resources", str)})
TABLE.update({"--l3-cache-schema": ("l3_cache_schema", str), "--mem-bw-schema": ("mem_bw_schema", str)})


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "update [OPTIONS] ID", 1, 1)
    for option, name in (("--l3-cache-schema", "l3_cache_schema"), ("--mem-bw-schema", "mem_bw_schema")):
        if getattr(found, name) is not None:
            raise RuntimeFailure("%s: is not supported" % option, "limits of CPU and memory have options of their own")
    resources = {}
    if found.resources == "-":
        resources = document.loads(sys.stdin.buffer.read(), "standard input")
    elif found.resources:
        resources = document.read(found.resources)
    if not isinstance(resources, dict):
        raise RuntimeFailure("--resources: should be an object as /linux/resources is")
    schema.check(resources, schema.RESOURCES, "--resources ")
    for option, (controller, field, kind) in _FIELDS.items():
        value = getattr(found, TABLE[option][0])
        if value is not None:
            if resources.get(controller) is None:
                resources[controller] = {}
            resources[controller][field] = value if kind is str else amount(option, value)
    lifecycle.update(oci.root(chosen), found.rest[0], resources)
    return 0


def amount(option: str, text: str) -> int:
    """A number; of bytes perhaps with k, m or g behind it. Raises RuntimeFailure."""
    units = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    memory = "memory" in option
    digits, unit = (text[:-1], units[text[-1].lower()]) if memory and text[-1:].lower() in units else (text, 1)
    try:
        return int(digits) * unit
    except ValueError:
        raise RuntimeFailure("%s: should be a whole number, and is %.40r" % (option, text)) from None
