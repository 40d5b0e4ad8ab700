"""Processors, memory, firmware, disks and what is mounted."""

from shepherd.remote.facts import cpu, devices, dmi, files, lvm, memory, mounts


def collect(known):
    facts = cpu.collect(known.facts.get("machine", ""))
    facts.update(memory.collect())
    facts.update(dmi.collect())
    facts.update(devices.collect())
    facts.update(mounts.collect(known))
    facts.update(lvm.collect())
    uptime = files.text("/proc/uptime")
    if uptime:
        facts["uptime_seconds"] = int(float(uptime.split()[0]))
    return facts
