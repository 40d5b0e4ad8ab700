"""The flags of a file as lsattr(1) shows them, without starting it: ioctl_iflags(2), include/uapi/linux/fs.h."""

import os
import stat
import sys

try:
    import fcntl
except ImportError:
    fcntl = None

# letter, bit: in the order in which lsattr prints them
LETTERS = (
    ("s", 0x1),
    ("u", 0x2),
    ("S", 0x8),
    ("D", 0x10000),
    ("i", 0x10),
    ("a", 0x20),
    ("d", 0x40),
    ("A", 0x80),
    ("c", 0x4),
    ("E", 0x800),
    ("j", 0x4000),
    ("I", 0x1000),
    ("t", 0x8000),
    ("T", 0x20000),
    ("e", 0x80000),
    ("C", 0x800000),
    ("x", 0x2000000),
    ("F", 0x40000000),
    ("N", 0x10000000),
    ("P", 0x20000000),
    ("V", 0x100000),
    ("m", 0x400),
)
_GETFLAGS, _GETVERSION = ("f", 1), ("v", 1)
_OTHER_NUMBERS = ("ppc", "mips", "sparc", "alpha")  # machines whose ioctl numbers have a longer size and less else


def read(path):
    """(letters, version) of a file or folder; the version, a number, is None where the file system keeps none.

    Raises OSError where it has no flags, or the file cannot be opened.
    """
    if fcntl is None or stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        raise OSError("no flags here")
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = _ask(handle, *_GETFLAGS)
        try:
            version = _ask(handle, *_GETVERSION)
        except OSError:
            version = None  # tmpfs has flags and no version
    finally:
        os.close(handle)
    return "".join(letter for letter, bit in LETTERS if flags & bit), version


def _ask(handle, group, number):
    """_IOR(group, number, long), of which the kernel fills in four bytes."""
    size = 8 if sys.maxsize > 2**32 else 4
    reading = 2 << (29 if os.uname()[4].startswith(_OTHER_NUMBERS) else 30)
    answer = fcntl.ioctl(handle, reading | size << 16 | ord(group) << 8 | number, bytes(8))
    return int.from_bytes(answer[:4], sys.byteorder)
