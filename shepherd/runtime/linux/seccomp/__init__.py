"""Filters of system calls (seccomp(2)): profiles as the OCI runtime specification has them, compiled by us."""

import struct
import sys

from shepherd.runtime.linux import syscalls

__all__ = ["compile_profile", "install"]

_SET_MODE_FILTER = 1


def compile_profile(profile: dict, machine=None) -> tuple:
    """(flags of seccomp(2), BPF program, path of the listener's socket or None): see compiler.py."""
    from shepherd.runtime.linux.seccomp import compiler  # which a filter that was compiled before does not need

    return compiler.compile_profile(profile, machine)


def install(program: bytes, flags: int = 0) -> int:
    """Filter from here on, in this process and all that it becomes or starts.

    Needs no_new_privs or CAP_SYS_ADMIN. Returns the descriptor of a listener where the flags ask for one.
    """
    header = struct.pack("HP", len(program) // 8, _address(program))  # struct sock_fprog (<linux/filter.h>)
    return syscalls.seccomp(_SET_MODE_FILTER, flags, header)


if sys.implementation.name == "cpython":

    def _address(data):
        """Where the bytes are: at the end of their object, before the NUL (Include/cpython/bytesobject.h, ob_sval)."""
        return id(data) + bytes.__basicsize__ - 1

else:
    import ctypes

    _KEPT = []

    def _address(data):
        _KEPT.append(ctypes.create_string_buffer(data, len(data)))
        return ctypes.addressof(_KEPT[-1])
