"""What a container sees as its file system: a table of mounts, and the steps that make it the root.

The root is mounted and pivoted to first; everything else is mounted from inside, so that no path of the container is
ever followed from the outside, where a symbolic link in it could lead anywhere.
"""

import os
import stat

from shepherd.runtime import syscalls
from shepherd.runtime.syscalls import (
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
)

SHUT = MS_NOSUID | MS_NODEV | MS_NOEXEC


class Mount:
    """A new file system, at a path inside the container."""

    def __init__(self, target: str, kind: str, flags: int = 0, data=None, source=None):
        self.target = target
        self.kind = kind
        self.flags = flags
        self.data = data
        self.source = source or kind

    def __repr__(self):
        return "Mount(%r, %r)" % (self.target, self.kind)

    def make(self) -> None:
        os.makedirs(self.target, exist_ok=True)
        syscalls.mount(self.source, self.target, self.kind, self.flags, self.data)


class Bind:
    """A path inside the container bound to itself, so that it has flags of its own. One that is absent is skipped."""

    def __init__(self, target: str, flags: int = 0):
        self.target = target
        self.flags = flags

    def __repr__(self):
        return "Bind(%r, %#x)" % (self.target, self.flags)

    def make(self) -> None:
        if os.path.exists(self.target):
            syscalls.mount(self.target, self.target, None, MS_BIND | MS_REC)
            if self.flags:
                syscalls.mount(None, self.target, None, MS_REMOUNT | MS_BIND | self.flags)


def proc(own_network: bool) -> list:
    """/proc, where what acts on the whole machine can be read and not written."""
    protected = [
        Bind(path, MS_RDONLY | SHUT) for path in ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
    ]
    # Bound before what is around it is made read-only, which leaves mounts below alone.
    ours = [Bind("/proc/sys/net")] if own_network else []
    return [Mount("/proc", "proc", SHUT)] + ours + protected


# As the OCI runtime specification has them (config-linux.md, "Default Filesystems").
SYS = [Mount("/sys", "sysfs", SHUT | MS_RDONLY)]
DEV = [
    Mount("/dev", "tmpfs", MS_NOSUID, "mode=755,size=64k"),
    Mount("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
    Mount("/dev/shm", "tmpfs", SHUT, "mode=1777"),
    Mount("/dev/mqueue", "mqueue", SHUT),
]
TEMPORARY = [
    Mount("/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"),
    Mount("/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"),
]

# The same, "Default Devices": name, major and minor as in Documentation/admin-guide/devices.txt of the kernel.
DEVICES = [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
LINKS = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
]


def make_devices() -> None:
    """Fill /dev, which is mounted and empty."""
    for name, major, minor in DEVICES:
        path = "/dev/" + name
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        os.chmod(path, 0o666)  # whatever the umask is
    for name, target in LINKS:
        os.symlink(target, "/dev/" + name)


def make_private() -> None:
    """Keep what this mount namespace mounts from the machine's, and the other way round."""
    syscalls.mount(None, "/", None, MS_REC | MS_PRIVATE)


def make_overlay(name: str, lower: str, scratch: str, empty=()) -> str:
    """Mount a writable view of the folder `lower` below the folder `scratch`, and return where.

    What is written lies in memory and goes away with this mount namespace. `name` is the source shown in
    /proc/PID/mountinfo. `empty` are (path, mode) of folders shown without what `lower` has in them
    (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
    """
    syscalls.mount("tmpfs", scratch, "tmpfs", MS_NODEV, "mode=700")
    upper, work, root = (os.path.join(scratch, part) for part in ("upper", "work", "root"))
    for folder in (upper, work, root):
        os.mkdir(folder)
        os.chmod(folder, 0o755)
    for path, mode in empty:
        folder = upper
        for part in path.strip("/").split("/"):
            folder = os.path.join(folder, part)
            if not os.path.isdir(folder):
                os.mkdir(folder)
                os.chmod(folder, 0o755)
        os.chmod(folder, mode)
        os.setxattr(folder, "trusted.overlay.opaque", b"y")
    options = "lowerdir=%s,upperdir=%s,workdir=%s" % (lower, upper, work)
    syscalls.mount(name, root, "overlay", MS_RELATIME, options)
    return root


def enter_root(root: str) -> None:
    """Make `root` the root folder, and leave nothing of the old one mounted."""
    os.chdir(root)
    # pivot_root(2), "pivot_root('.', '.')": the old root comes to lie upon the new one, and is taken off again.
    syscalls.pivot_root(".", ".")
    syscalls.umount(".", MNT_DETACH)
    os.chdir("/")
