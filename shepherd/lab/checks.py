"""Whether a lab can run here, and what to do where it cannot."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from shepherd.errors import ShepherdError

SSHD = "/usr/sbin/sshd"
PROGRAMS = {SSHD: "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "nsenter": "util-linux"}


def obstacle() -> ShepherdError | None:
    """What is in the way, or None."""
    if sys.platform != "linux":
        return ShepherdError("a lab needs Linux: its hosts are namespaces of the Linux kernel")
    if os.geteuid() != 0:
        return ShepherdError("a lab needs root, to make namespaces and mounts", hint="sudo shepherd lab up …")
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return ShepherdError(f"{Path(program).name} is missing", hint=f"apt-get install {package}")
    for kind in ("mnt", "pid", "net", "uts", "ipc"):
        if not os.path.exists(f"/proc/self/ns/{kind}"):
            return ShepherdError(f"this kernel has no {kind} namespaces")
    return None
