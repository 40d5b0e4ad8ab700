"""Capabilities of processes (capabilities(7), <linux/capability.h>)."""

import _struct as struct  # struct itself is one more file to find and to read
import os

from shepherd.runtime.errors import RuntimeFailure, nearest
from shepherd.runtime.linux import syscalls

NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
NUMBERS = {"CAP_" + name: number for number, name in enumerate(NAMES)}

# What a container has unless it is told otherwise: the fourteen that Docker gives.
DEFAULT = (
    "CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE "
    "CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT"
).split()

_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: 64 bits in two halves
PR_CAP_AMBIENT, RAISE, CLEAR_ALL = 47, 2, 4


def numbers(names: list) -> set:
    """The numbers of capabilities such as CAP_CHOWN. Raises RuntimeFailure for one that does not exist."""
    for name in names:
        if name not in NUMBERS:
            raise RuntimeFailure("there is no capability %.60s" % name, nearest(str(name).upper(), NUMBERS))
    return {NUMBERS[name] for name in names}


def last() -> int:
    """The highest number that this kernel knows."""
    if not _LAST:
        with open("/proc/sys/kernel/cap_last_cap") as file:
            _LAST.append(int(file.read()))
    return _LAST[0]


_LAST = []  # read once, while the machine's /proc is there


def drop_bounding(keep: set, highest=None) -> None:
    """Take from all that this process will ever execute every capability that is not in `keep`."""
    for number in range((last() if highest is None else highest) + 1):
        if number not in keep:
            syscalls.drop_capability(number)


def apply(bounding: set, effective: set, inheritable: set, permitted: set, ambient: set) -> None:
    """Give this process these sets of numbers, in the order of the OCI runtime specification.

    `bounding` is what `drop_bounding` left. Raises OSError where the kernel refuses (EPERM: more than it has). What the
    kernel does not know is left out: an image made for a newer one runs on an older.
    """
    del bounding  # it was set before the user changed
    syscalls.capset(*words(effective, inheritable, permitted))
    syscalls.prctl(PR_CAP_AMBIENT, CLEAR_ALL)
    for number in sorted(ambient):
        syscalls.prctl(PR_CAP_AMBIENT, RAISE, number)


def words(effective: set, inheritable: set, permitted: set) -> tuple:
    """(header, data) as capset(2) takes them; what the kernel does not know is left out."""
    known = (1 << (last() + 1)) - 1
    whole = [_bits(one) & known for one in (effective, permitted, inheritable)]
    halves = [word >> shift & 0xFFFFFFFF for shift in (0, 32) for word in whole]
    return struct.pack("=II", _VERSION, 0), struct.pack("=6I", *halves)


def permitted() -> set:
    """The numbers of those that this process may have in effect."""
    _effective, low, _inheritable, _effective, high, _inheritable = syscalls.capget(struct.pack("=II", _VERSION, 0))
    return {number for number in range(64) if (high << 32 | low) >> number & 1}


def current() -> dict:
    """What this process has: inheritable, permitted, effective, bounding and ambient, sets of numbers (proc(5))."""
    found = {}
    fields = {"CapInh": "inheritable", "CapPrm": "permitted", "CapEff": "effective", "CapBnd": "bounding"}
    fields["CapAmb"] = "ambient"
    with open("/proc/%d/status" % os.getpid()) as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in fields:
                bits = int(value, 16)
                found[fields[name]] = {number for number in range(64) if bits >> number & 1}
    return found


def _bits(chosen: set) -> int:
    value = 0
    for number in chosen:
        value |= 1 << number
    return value
