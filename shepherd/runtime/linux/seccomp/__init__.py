"""Filters of system calls (seccomp(2)): profiles as the OCI runtime specification has them, compiled by us."""

import ctypes

from shepherd.runtime.linux import syscalls
from shepherd.runtime.linux.seccomp.compiler import compile_profile

__all__ = ["compile_profile", "install"]

_SET_MODE_FILTER = 1


def install(program: bytes, flags: int = 0) -> int:
    """Filter from here on, in this process and all that it becomes or starts.

    Needs no_new_privs or CAP_SYS_ADMIN. Returns the descriptor of a listener where the flags ask for one.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    header = _Header(len(program) // 8, ctypes.addressof(buffer))
    return syscalls.seccomp(_SET_MODE_FILTER, flags, bytes(header))


class _Header(ctypes.Structure):
    """struct sock_fprog (<linux/filter.h>)."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
