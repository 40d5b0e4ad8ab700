"""The system calls that Python's standard library lacks, by ctypes.

Each is named as in section 2 of the Linux manual and raises OSError with the kernel's errno. Numbers and flags are
those of <linux/sched.h>, <linux/mount.h> and <linux/unistd.h>; a call without a wrapper in every C library goes
through syscall(2), whose numbers differ by machine.
"""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_RELATIME = 0x200000

MNT_DETACH = 0x2

PR_CAPBSET_DROP = 24  # <linux/prctl.h>

# <asm/unistd.h>; a machine that uses the generic table has the same number as the others that do
_PIVOT_ROOT = {"x86_64": 155, "i686": 217, "armv7l": 218, "ppc64le": 203, "s390x": 217}
_PIVOT_ROOT_GENERIC = 41  # aarch64, riscv64, loongarch64
_SECCOMP = {"x86_64": 317, "i686": 354, "armv7l": 383, "ppc64le": 358, "s390x": 348}
_SECCOMP_GENERIC = 277

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result, *names):
    """The result, or OSError with the errno and up to two file names."""
    if result == -1:
        number = ctypes.get_errno()
        first = names[0] if names else None
        second = names[1] if len(names) > 1 else None
        raise OSError(number, os.strerror(number), first, None, second)
    return result


def _text(value):
    return None if value is None else os.fsencode(value)


def unshare(flags: int) -> None:
    """Move this process (for CLONE_NEWPID: its children) into new namespaces."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def mount(source, target, kind=None, flags: int = 0, data=None) -> None:
    """Mount `source` at `target`; `data` are the file system's own options, comma separated."""
    result = _libc.mount(_text(source), _text(target), _text(kind), ctypes.c_ulong(flags), _text(data))
    _checked(result, source or kind, target)


def umount(target: str, flags: int = 0) -> None:
    """Take away what is mounted at `target` (umount2)."""
    _checked(_libc.umount2(_text(target), ctypes.c_int(flags)), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace, and mount the old one at `put_old`."""
    number = _PIVOT_ROOT.get(os.uname().machine, _PIVOT_ROOT_GENERIC)
    _checked(_libc.syscall(ctypes.c_long(number), _text(new_root), _text(put_old)), new_root, put_old)


def drop_capability(number: int) -> None:
    """Take a capability (<linux/capability.h>) from all that this process will ever execute (PR_CAPBSET_DROP)."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(ctypes.c_int(PR_CAPBSET_DROP), ctypes.c_ulong(number), zero, zero, zero))


def syncfs(fd: int) -> None:
    """Write what the file system that `fd` is on has in memory to its device (syncfs(2))."""
    _checked(_libc.syncfs(ctypes.c_int(fd)))


def prctl(option: int, value: int, second: int = 0) -> None:
    """prctl(2) with one argument or two."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), ctypes.c_ulong(second), zero, zero))


def capset(header: bytes, data: bytes) -> None:
    """The capabilities of this thread: a __user_cap_header_struct and its data (capset(2))."""
    _checked(_libc.capset(header, data))


def seccomp(operation: int, flags: int, arguments: bytes) -> int:
    """seccomp(2): the descriptor of a listener where the flags ask for one, else 0."""
    number = _SECCOMP.get(os.uname().machine, _SECCOMP_GENERIC)
    return _checked(_libc.syscall(ctypes.c_long(number), ctypes.c_uint(operation), ctypes.c_uint(flags), arguments))
