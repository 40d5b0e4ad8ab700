"""Whether a lab can run here, and what to do where it cannot."""

from __future__ import annotations

import os
import shutil
import sys

from shepherd.errors import ShepherdError

PROGRAMS = {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "nsenter": "util-linux"}
WHERE = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def obstacle() -> ShepherdError | None:
    """What is in the way, or None."""
    if sys.platform != "linux":
        return ShepherdError("a lab needs Linux: its hosts are namespaces of the Linux kernel")
    if os.geteuid() != 0:
        return ShepherdError("a lab needs root, to make namespaces and mounts", hint="sudo shepherd lab up …")
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=WHERE) is None:
            return ShepherdError(f"{program} is missing", hint=f"apt-get install {package}")
    for kind in ("mnt", "pid", "net", "uts", "ipc"):
        if not os.path.exists(f"/proc/self/ns/{kind}"):
            return ShepherdError(f"this kernel has no {kind} namespaces")
    return None


def sshd() -> str:
    """Where sshd is; it insists on being called by its full path."""
    found = shutil.which("sshd", path=WHERE)
    if found is None:
        raise ShepherdError("sshd is missing", hint="apt-get install openssh-server")
    return found
