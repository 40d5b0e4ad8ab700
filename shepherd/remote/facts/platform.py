"""The kernel, the machine and its names."""

import os
import sys

from shepherd.remote.facts import files


def collect(_):
    system, node, kernel, version, machine = os.uname()
    fqdn = full_name(node)
    bits = "64" if sys.maxsize > 2**32 else "32"
    facts = {
        "system": system,
        "kernel": kernel,
        "kernel_version": version,
        "machine": machine,
        "architecture": _architecture(machine),
        "userspace_bits": bits,
        "userspace_architecture": "i386" if bits == "32" and machine == "x86_64" else _architecture(machine),
        "nodename": node,
        "hostname": node.split(".")[0],
        "fqdn": fqdn,
        "domain": fqdn.partition(".")[2],
        "python_version": "%d.%d.%d" % sys.version_info[:3],
    }
    machine_id = files.text("/var/lib/dbus/machine-id") or files.text("/etc/machine-id")
    if machine_id:
        facts["machine_id"] = machine_id.split("\n")[0]
    return facts


def _architecture(machine):
    return "i386" if len(machine) == 4 and machine[0] == "i" and machine[2:] == "86" else machine


def full_name(node):
    """The first name of this host with a dot in it, as the resolver knows it (socket.getfqdn)."""
    import _socket  # the C half alone: the rest takes longer to import than all this takes to gather

    try:
        name, aliases, _ = _socket.gethostbyaddr(os.fsencode(node))  # text would import `encodings.idna`
    except OSError:
        return node
    return next((one for one in [name] + aliases if "." in one), name)
