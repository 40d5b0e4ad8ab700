"""The processors, from /proc/cpuinfo."""

import os

from shepherd.remote.facts import files

MODELS = ("model name", "Processor", "vendor_id", "cpu", "Vendor", "processor")


def collect(architecture):
    processors = []
    sockets, cores = {}, {}
    socket = 0
    number = 0
    vcpus = 0
    facts = {}
    for line in files.lines("/proc/cpuinfo"):
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if not colon:
            continue
        if key in MODELS:
            processors.append(value)
        if key == "processor":
            number += 1
        elif key == "physical id":
            socket = value
            sockets.setdefault(socket, 1)
        elif key == "cpu cores":
            sockets[socket] = int(value)
        elif key == "siblings":
            cores[socket] = int(value)
        elif key == "flags" and "flags" not in facts:
            facts["flags"] = value.split()
        elif key == "# processors":
            vcpus = int(value)
    facts["processor"] = processors
    number = number or vcpus
    if sockets and not architecture.startswith(("aarch64", "arm", "ppc", "s390")):
        count = len(sockets)
        per_socket = next(iter(sockets.values()))
        siblings = next(iter(cores.values()), per_socket)
        facts["processor_count"] = count
        facts["processor_cores"] = per_socket
        facts["processor_threads_per_core"] = siblings // per_socket or 1
    else:
        facts["processor_count"] = number
        facts["processor_cores"] = 1
        facts["processor_threads_per_core"] = 1
    facts["processor_vcpus"] = facts["processor_threads_per_core"] * facts["processor_count"] * facts["processor_cores"]
    facts["processor_nproc"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else number
    return facts
