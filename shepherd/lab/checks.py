"""Whether a lab can run here, and what to do where it cannot."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from shepherd.errors import ShepherdError

SSHD = "/usr/sbin/sshd"  # which insists on being called by its full path
PROGRAMS = {SSHD: "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "nsenter": "util-linux"}
NAMESPACES = ("mnt", "pid", "net", "uts", "ipc", "cgroup")
SYS_ADMIN = 21  # <linux/capability.h>


def obstacle() -> ShepherdError | None:
    """What is in the way of a lab, or None."""
    forbidden = not_allowed()
    if forbidden is not None:
        return forbidden
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return ShepherdError(f"{Path(program).name} is missing", hint=f"apt-get install {package}")
    for kind in NAMESPACES:
        if not Path("/proc/self/ns", kind).exists():
            return ShepherdError(f"this kernel has no {kind} namespaces")
    return None


def not_allowed() -> ShepherdError | None:
    """What forbids this process to have anything to do with labs, or None."""
    if sys.platform != "linux":
        return ShepherdError("a lab needs Linux: its hosts are namespaces of the Linux kernel")
    if os.geteuid() != 0:
        return ShepherdError("a lab needs root, to make namespaces and mounts", hint="sudo shepherd lab …")
    if not _capabilities() >> SYS_ADMIN & 1:
        return ShepherdError(
            "this root may not make namespaces and mounts: it has no CAP_SYS_ADMIN",
            hint="a container needs --privileged to have a lab in it",
        )
    return None


def require() -> None:
    """Raise what obstacle() finds."""
    problem = obstacle()
    if problem is not None:
        raise problem


def _capabilities() -> int:
    """The effective capabilities of this process as a bit set (proc(5), CapEff)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
