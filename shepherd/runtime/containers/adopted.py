"""The exit code of a process that is not our child (<linux/pidfd.h>: PIDFD_GET_INFO since Linux 6.15)."""

import fcntl
import os
import struct
import time

_SIZE = 64
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_GET_INFO = 3 << 30 | _SIZE << 16 | 0xFF << 8 | 11
UNKNOWN = 255


def exit_code(descriptor: int) -> tuple:
    """(code, error) of the process that the descriptor is of, which has ended."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        asked = bytearray(struct.pack("=Q", _PIDFD_INFO_EXIT) + bytes(_SIZE - 8))
        try:
            fcntl.ioctl(descriptor, _PIDFD_GET_INFO, asked)
        except OSError:
            break  # an older kernel
        mask = struct.unpack_from("=Q", asked)[0]
        if mask & _PIDFD_INFO_EXIT:
            status = struct.unpack_from("=i", asked, 60)[0]
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            return code, ""
        time.sleep(0.005)  # whoever is its parent now has not waited for it yet
    return UNKNOWN, "its monitor was killed, and the exit code is not known"
