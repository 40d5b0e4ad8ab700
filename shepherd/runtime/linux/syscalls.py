"""The system calls that Python's standard library lacks, by

Each is named as in section 2 of the Linux manual and raises OSError with the kernel's errno. Numbers and flags are
those of <linux/sched.h>, <linux/mount.h> and <linux/unistd.h>; a call without a wrapper in every C library goes
through syscall(2), whose numbers differ by machine.
"""

import _struct as struct  # struct itself is one more file to find and to read
import errno
import os

from shepherd.runtime.linux import foreign
from shepherd.runtime.linux.foreign import c_char_p, c_int, c_long, c_uint, c_ulong, c_ulonglong, typed

CLONE_PARENT = 0x00008000
_CLONE_INTO_CGROUP = 0x200000000
CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_SYNCHRONOUS = 0x10
MS_REMOUNT = 0x20
MS_MANDLOCK = 0x40
MS_DIRSYNC = 0x80
MS_NOSYMFOLLOW = 0x100
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SILENT = 0x8000
MS_UNBINDABLE = 0x20000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MS_RELATIME = 0x200000
MS_I_VERSION = 0x800000
MS_STRICTATIME = 0x1000000
MS_LAZYTIME = 0x2000000

MNT_DETACH = 0x2

# mount_setattr(2)
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

OPEN_TREE_CLONE = 1  # open_tree(2), which takes some of the flags of openat(2) too
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

# openat2(2)
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_EXEC = 0x1, 0x2, 0x10  # memfd_create(2)

PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 8, 36, 38
PR_CAPBSET_DROP = 24  # <linux/prctl.h>

# <asm/unistd.h>; a machine that uses the generic table has the same number as the others that do
_PIVOT_ROOT = {"x86_64": 155, "i686": 217, "armv7l": 218, "ppc64le": 203, "s390x": 217}
_PIVOT_ROOT_GENERIC = 41  # aarch64, riscv64, loongarch64
_CLONE = {"x86_64": 56, "i686": 120, "armv7l": 120, "ppc64le": 120, "s390x": 120}
_CLONE_GENERIC = 220
_IOPRIO_SET = {"x86_64": 251, "i686": 289, "armv7l": 314, "ppc64le": 273, "s390x": 282}
_IOPRIO_SET_GENERIC = 30
_PRLIMIT = {"x86_64": 302, "i686": 340, "armv7l": 369, "ppc64le": 325, "s390x": 334}
_PRLIMIT_GENERIC = 261
_SCHED_SETATTR = {"x86_64": 314, "i686": 351, "armv7l": 380, "ppc64le": 355, "s390x": 345}
_SCHED_SETATTR_GENERIC = 274
_SECCOMP = {"x86_64": 317, "i686": 354, "armv7l": 383, "ppc64le": 358, "s390x": 348}
_SECCOMP_GENERIC = 277
_BPF = {"x86_64": 321, "i686": 357, "armv7l": 386, "ppc64le": 361, "s390x": 351}
_BPF_GENERIC = 280
# since Linux 5.1 a new call has one number everywhere
_PIDFD_SEND_SIGNAL, _OPEN_TREE, _MOVE_MOUNT, _PIDFD_OPEN, _CLOSE_RANGE, _OPENAT2 = 424, 428, 429, 434, 436, 437
_MOUNT_SETATTR, _CLONE3 = 442, 435

_MACHINE = os.uname().machine
_libc = foreign.libc
# those that each container makes dozens of
_mount = typed("mount", c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_prctl = typed("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)
_openat2 = typed("syscall", c_long, c_int, c_char_p, c_char_p, c_ulong)
_open_tree = typed("syscall", c_long, c_int, c_char_p, c_uint)
_move_mount = typed("syscall", c_long, c_int, c_char_p, c_int, c_char_p, c_uint)
_mount_setattr = typed("syscall", c_long, c_int, c_char_p, c_uint, c_char_p, c_ulong)


def _checked(result, *names):
    """The result, or OSError with the errno and up to two file names."""
    if result == -1:
        number = foreign.get_errno()
        first = names[0] if names else None
        second = names[1] if len(names) > 1 else None
        raise OSError(number, os.strerror(number), first, None, second)
    return result


def _text(value):
    return None if value is None else os.fsencode(value)


def unshare(flags: int) -> None:
    """Move this process (for CLONE_NEWPID: its children) into new namespaces."""
    _checked(_libc.unshare(c_int(flags)))


def mount(source, target, kind=None, flags: int = 0, data=None) -> None:
    """Mount `source` at `target`; `data` are the file system's own options, comma separated."""
    result = _mount(_text(source), _text(target), _text(kind), flags, _text(data))
    _checked(result, source or kind, target)


def umount(target: str, flags: int = 0) -> None:
    """Take away what is mounted at `target` (umount2)."""
    _checked(_libc.umount2(_text(target), c_int(flags)), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace, and mount the old one at `put_old`."""
    number = _PIVOT_ROOT.get(_MACHINE, _PIVOT_ROOT_GENERIC)
    _checked(_libc.syscall(c_long(number), _text(new_root), _text(put_old)), new_root, put_old)


def drop_capability(number: int) -> None:
    """Take a capability (<linux/capability.h>) from all that this process will ever execute (PR_CAPBSET_DROP)."""
    _checked(_prctl(PR_CAPBSET_DROP, number, 0, 0, 0))


def _call(number, *arguments):
    """syscall(2); an int is as wide as a register, bytes are a pointer to them."""
    return _libc.syscall(c_long(number), *[c_long(one) if isinstance(one, int) else one for one in arguments])


def setns(descriptor: int, kind: int = 0) -> None:
    """Move this process (for a process or time namespace: its children) into the namespace of an open file."""
    _checked(_libc.setns(c_int(descriptor), c_int(kind)))


class inside:  # noqa: N801 - used as a function is
    """This thread is in the namespace of an open file (`kind`: its CLONE_NEW* flag) while the context lasts."""

    _FILES = {CLONE_NEWNET: "net", CLONE_NEWUTS: "uts", CLONE_NEWIPC: "ipc"}

    def __init__(self, descriptor: int, kind: int):
        self._descriptor = descriptor
        self._kind = kind

    def __enter__(self):
        self._home = os.open("/proc/thread-self/ns/" + self._FILES[self._kind], os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self._descriptor, self._kind)
        except BaseException:
            os.close(self._home)
            raise
        return self

    def __exit__(self, *exception):
        try:
            setns(self._home, self._kind)
        finally:
            os.close(self._home)


def splice(source: int, target: int, length: int) -> int:
    """Move up to `length` bytes from one descriptor to another, one of them a pipe, without waiting (splice(2))."""
    flags = 0x01 | 0x02  # SPLICE_F_MOVE, SPLICE_F_NONBLOCK
    none = c_long(0)
    return _checked(_libc.splice(c_int(source), none, c_int(target), none, c_ulong(length), c_uint(flags)))


def clone_sibling() -> int:
    """As fork(), but the new process is a child of this one's parent (CLONE_PARENT of clone(2)).

    It enters the namespaces that unshare(2) or setns(2) chose for children. Python is not told of the fork: to be
    called where there is one thread, by a process that will execute another program or end.
    """
    flags = CLONE_PARENT | 17  # SIGCHLD
    first, second = (0, flags) if _MACHINE == "s390x" else (flags, 0)
    number = _CLONE.get(_MACHINE, _CLONE_GENERIC)
    zero = c_long(0)
    return _checked(foreign.locked.syscall(c_long(number), c_long(first), c_long(second), zero, zero, zero))


def fork_into(group: int) -> int:
    """As fork(), but the new process begins its life in the control group, of version 2, of an open folder (clone3(2)).

    Nothing is moved, so the kernel has nothing to wait for. What is said of `clone_sibling` holds here, too. Raises
    OSError where there is another thread, whose locks the child would have for ever, and before Linux 5.7.
    """
    if os.stat("/proc/self/task").st_nlink != 3:  # one folder in it
        raise BlockingIOError(errno.EAGAIN, "there is another thread")
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, …, cgroup
    arguments = struct.pack("=QQQQQQQQQQQ", _CLONE_INTO_CGROUP, 0, 0, 0, 17, 0, 0, 0, 0, 0, group)  # SIGCHLD
    number, size = c_long(_CLONE3), c_long(len(arguments))
    return _checked(foreign.locked.syscall(number, arguments, size))


def syncfs(fd: int) -> None:
    """Write what the file system that `fd` is on has in memory to its device (syncfs(2))."""
    _checked(_libc.syncfs(c_int(fd)))


def prctl(option: int, value: int, second: int = 0) -> None:
    """prctl(2) with one argument or two."""
    _checked(_prctl(option, value, second, 0, 0))


def capset(header: bytes, data: bytes) -> None:
    """The capabilities of this thread: a __user_cap_header_struct and its data (capset(2))."""
    _checked(_libc.capset(header, data))


def capget(header: bytes) -> tuple:
    """What capset takes, of this thread: effective, permitted and inheritable, then again for the higher 32."""
    found = (c_uint * 6)()
    _checked(_libc.capget(header, found))
    return tuple(found)


def seccomp(operation: int, flags: int, arguments: bytes) -> int:
    """seccomp(2): the descriptor of a listener where the flags ask for one, else 0."""
    number = _SECCOMP.get(_MACHINE, _SECCOMP_GENERIC)
    return _checked(_libc.syscall(c_long(number), c_uint(operation), c_uint(flags), arguments))


def setdomainname(name: str) -> None:
    """The NIS domain name of this UTS namespace."""
    value = os.fsencode(name)
    _checked(_libc.setdomainname(value, c_ulong(len(value))))


def personality(value: int) -> None:
    """The execution domain (<linux/personality.h>)."""
    _checked(_libc.personality(c_ulong(value)))


def memfd_create(name: str, flags: int) -> int:
    """An open file in memory."""
    return _checked(_libc.memfd_create(_text(name), c_uint(flags)))


def openat2(folder: int, path, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """An open file whose path was resolved under the rules of RESOLVE_* flags; closed on execve."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return _checked(_openat2(_OPENAT2, folder, _text(path), how, len(how)), path)


def open_tree(folder: int, path, flags: int) -> int:
    """A mount by descriptor; with OPEN_TREE_CLONE a copy that is attached nowhere yet."""
    return _checked(_open_tree(_OPEN_TREE, folder, _text(path), flags | os.O_CLOEXEC), path)


def move_mount(tree: int, target: int) -> None:
    """Attach the mount of one descriptor on the file or folder of another."""
    _checked(_move_mount(_MOVE_MOUNT, tree, b"", target, b"", 0x4 | 0x40))  # MOVE_MOUNT_{F,T}_EMPTY_PATH


def mount_setattr(tree: int, add: int, clear: int = 0, propagation: int = 0, users: int = 0, flags: int = 0) -> None:
    """Change MOUNT_ATTR_* of a mount (all below it too with AT_RECURSIVE), its propagation, or map its owners."""
    attributes = struct.pack("=QQQQ", add, clear, propagation, users)
    _checked(_mount_setattr(_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | flags, attributes, len(attributes)))


def close_range(first: int, last: int) -> None:
    """Close all descriptors from `first` to `last`, both included. ENOSYS before Linux 5.9."""
    _checked(_call(_CLOSE_RANGE, first, last, 0))


def pidfd_open(pid: int) -> int:
    """A descriptor of a process, which becomes readable when it ends. ENOSYS before Linux 5.3."""
    return _checked(_call(_PIDFD_OPEN, pid, 0))


def pidfd_send_signal(descriptor: int, signal: int) -> None:
    """Signal the process that the descriptor was opened for, and no other that has its number now."""
    _checked(_call(_PIDFD_SEND_SIGNAL, descriptor, signal, 0, 0))


def bpf(command: int, attributes) -> int:
    """bpf(2): `attributes` are the part of union bpf_attr that the command uses, as bytes or something to write to."""
    return _checked(_call(_BPF.get(_MACHINE, _BPF_GENERIC), command, attributes, len(attributes)))


def ioprio_set(priority: int, pid: int = 0) -> None:
    """A process's, or this one's, priority of input and output: class << 13 | data (<linux/ioprio.h>)."""
    _checked(_call(_IOPRIO_SET.get(_MACHINE, _IOPRIO_SET_GENERIC), 1, pid, priority))  # IOPRIO_WHO_PROCESS


def getrlimit(kind: int, pid: int = 0) -> tuple:
    """(soft, hard) of a process, or this one, -1 for none. `kind` is getrlimit(2)'s; resource is a library."""
    found = (c_ulonglong * 2)()
    _checked(_call(_PRLIMIT.get(_MACHINE, _PRLIMIT_GENERIC), pid, kind, 0, found))
    return tuple(-1 if value == _INFINITY else value for value in found)


def setrlimit(kind: int, soft: int, hard: int, pid: int = 0) -> None:
    """Set both, -1 for none."""
    limits = (c_ulonglong * 2)(soft & _INFINITY, hard & _INFINITY)
    _checked(_call(_PRLIMIT.get(_MACHINE, _PRLIMIT_GENERIC), pid, kind, limits, 0))


_INFINITY = (1 << 64) - 1


def sched_setattr(attributes: bytes, pid: int = 0) -> None:
    """How a process, or this one, is scheduled: a struct sched_attr (sched_setattr(2))."""
    _checked(_call(_SCHED_SETATTR.get(_MACHINE, _SCHED_SETATTR_GENERIC), pid, attributes, 0))
