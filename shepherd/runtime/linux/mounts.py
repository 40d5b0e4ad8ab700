"""What a container sees as its file system: a table of mounts, and the steps that make it the root.

The root is mounted and pivoted to first; everything else is mounted from inside, so that no path of the container is
ever followed from the outside, where a symbolic link in it could lead anywhere.
"""

import os
import stat

from shepherd.runtime.linux import syscalls
from shepherd.runtime.linux.syscalls import (
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
MS_MOVE = 0x2000
RDONLY_BIND = MS_REMOUNT | MS_BIND | MS_RDONLY


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


def points() -> list:
    """(path, words) of all mounts in sight, in the order in which they were made: proc(5), mountinfo.

    `words` are the fields of the line as bytes; of the path, the characters that stand as numbers there are themselves.
    """
    found = []
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            words = line.split()
            path = words[4]
            if b"\\" in path:
                for code, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
                    path = path.replace(code, char)
            found.append((os.fsdecode(path), words))
    return found


def make_private() -> None:
    """Keep what this mount namespace mounts from the machine's, and the other way round."""
    syscalls.mount(None, "/", None, MS_REC | MS_PRIVATE)


def make_overlay(name: str, lower: str, scratch: str, empty=(), parts=()) -> str:
    """Mount a writable view of the folder `lower` below the folder `scratch`, and return where.

    What is written lies in memory and goes away with this mount namespace. `name` is the source shown in
    /proc/PID/mountinfo. `empty` are (path, mode) of folders shown without what `lower` has in them. `parts` are paths
    in `lower` where other file systems are mounted, which an overlay does not look into; they get views of their own.
    """
    syscalls.mount("tmpfs", scratch, "tmpfs", 0, "mode=700")
    root = os.path.join(scratch, "root")
    parts = ["/"] + sorted(parts)
    for number, part in enumerate(parts):
        upper, work = (os.path.join(scratch, "%s%d" % (kind, number)) for kind in ("upper", "work"))
        _make_folder(upper)
        _make_folder(work)
        _make_folder(root)
        for path, mode in empty:
            if _part_of(path, parts) == part:
                _make_opaque(upper, path[len(part) :].strip("/"), mode)
        options = "lowerdir=%s,upperdir=%s,workdir=%s" % (os.path.normpath(lower + part), upper, work)
        syscalls.mount(name, os.path.normpath(root + part), "overlay", MS_RELATIME, options)
    return root


def _part_of(path, parts):
    """The innermost of the parts that holds the path."""
    return max((part for part in parts if (path + "/").startswith(part.rstrip("/") + "/")), key=len)


def _make_opaque(upper, path, mode):
    """Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"."""
    folder = upper
    for name in path.split("/"):
        folder = os.path.join(folder, name)
        _make_folder(folder)
    os.chmod(folder, mode)
    os.setxattr(folder, "trusted.overlay.opaque", b"y")


def _make_folder(path):
    if not os.path.isdir(path):
        os.mkdir(path)
        os.chmod(path, 0o755)  # whatever the umask is


def enter_root(root: str) -> None:
    """Make `root` the root folder, and leave nothing of the old one mounted."""
    os.chdir(root)
    # pivot_root(2), "pivot_root('.', '.')": the old root comes to lie upon the new one, and is taken off again.
    syscalls.pivot_root(".", ".")
    syscalls.umount(".", MNT_DETACH)
    os.chdir("/")


def copy_up(source: int, target: int) -> None:
    """Copy what the folder of one descriptor holds into the folder of another: files, folders, links and devices.

    Owners, modes, times and attributes go with them; nothing is followed. For what a mount is about to hide.
    """
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source)
    try:
        for name in os.listdir(folder):
            _copy(folder, name, target)
        opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=target)
        try:
            _finish(folder, opened)
        finally:
            os.close(opened)
    finally:
        os.close(folder)


def _copy(folder, name, target):
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        os.mkdir(name, 0o700, dir_fd=target)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        below, there = os.open(name, flags, dir_fd=folder), os.open(name, flags, dir_fd=target)
        try:
            for inner in os.listdir(below):
                _copy(below, inner, there)
            _finish(below, there)
        finally:
            os.close(below)
            os.close(there)
    elif stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), name, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
        os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    elif stat.S_ISREG(found.st_mode):
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        copy = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            while os.sendfile(copy, source, None, 1 << 30):
                pass
            _finish(source, copy)
        finally:
            os.close(source)
            os.close(copy)
    else:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)


def _finish(source, copy):
    """Both are open. The owner comes first: whoever changes it takes setuid and capabilities away."""
    from shepherd.runtime.linux import attributes  # which few containers need; bundle/rootfs.py has it imported before

    found = os.fstat(source)
    os.fchown(copy, found.st_uid, found.st_gid)
    os.fchmod(copy, stat.S_IMODE(found.st_mode))
    attributes.copy(source, copy, True)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
