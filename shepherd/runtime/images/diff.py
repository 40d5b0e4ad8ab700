"""A layer's tar out of a tree of files: what an overlay's upper folder holds, or how one tree differs from another.

What the kernel left in the upper folder is turned into what a layer says (OCI image specification, layer.md,
"Whiteouts"): a character device 0:0 into `.wh.NAME`, an opaque folder into `.wh..wh..opq`. The tar is the same for the
same tree: sorted by name, without anything of this moment; with `epoch` (seconds, SOURCE_DATE_EPOCH) no time is later.
Trees are walked by file descriptor: a container may have made the names and links in them.
"""

import errno
import os
import stat

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import tar_reader, trees
from shepherd.runtime.images.tar_writer import TarWriter

_CHUNK = 1 << 20
_DEEPEST = 256  # as unpack.py takes it
_KINDS = {
    stat.S_IFREG: tar_reader.FILE,
    stat.S_IFDIR: tar_reader.FOLDER,
    stat.S_IFLNK: tar_reader.SYMLINK,
    stat.S_IFCHR: tar_reader.CHARACTER,
    stat.S_IFBLK: tar_reader.BLOCK,
    stat.S_IFIFO: tar_reader.FIFO,
}  # a socket is not kept: it means nothing without the process that listens


def write_upper(folder: str, file, epoch=None, skip=None) -> None:
    """Write the tar of the changes in an overlay's upper folder to the binary `file`.

    `skip(folder, name, path, state)` says whether to leave an entry out: its folder as a descriptor, texts as bytes.
    """
    _Writer(file, epoch, skip=skip).write(folder, None)


def write_tree(folder: str, file, epoch=None) -> None:
    """Write the tar of a whole tree."""
    _Writer(file, epoch, whole=True).write(folder, None)


def write_entry(folder: int, name: str, file) -> None:
    """Write the tar of one entry of the folder of a descriptor, and what is below it."""
    _Writer(file, None, whole=True).write_entry(folder, os.fsencode(name))


def write_difference(lower: str, folder: str, file, epoch=None) -> None:
    """Write the tar of what makes `lower` into `folder`."""
    _Writer(file, epoch, whole=True).write(folder, lower)


class _Writer:
    def __init__(self, file, epoch, whole=False, skip=None):
        self._tar = TarWriter(file)
        self._latest = None if epoch is None else epoch * 1000000000
        self._whole = whole
        self._skip = skip
        self._links = {}  # (device, inode) → name of the first one

    def write(self, folder, lower):
        top = trees.open_folder(folder)
        below = None if lower is None else trees.open_folder(lower)
        try:
            found = os.fstat(top)
            if below is None or not _same(found, os.fstat(below), top, below):
                self._add(b"./", found, top, None)
            self._walk(top, below, b"")
        finally:
            os.close(top)
            if below is not None:
                os.close(below)
        self._tar.close()

    def write_entry(self, folder, name):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            self._walk_into(folder, None, b"", name, found)
        else:
            self._take(folder, None, name, name, found)
        self._tar.close()

    def _walk(self, folder, lower, prefix):
        if prefix.count(b"/") > _DEEPEST:
            raise RuntimeFailure("a layer cannot have more than %d folders in one another" % _DEEPEST)
        names = sorted(os.fsencode(name) for name in os.listdir(folder))
        if lower is not None:
            there = set(names)
            for name in sorted(os.fsencode(name) for name in os.listdir(lower)):
                if name not in there:
                    self._tar.add_bytes(prefix + b".wh." + name, b"")
        elif not self._whole and prefix and _is_opaque(folder):
            self._tar.add_bytes(prefix + b".wh..wh..opq", b"")
        for name in names:
            if name.startswith(b".wh."):
                path = ascii(os.fsdecode(prefix + name))
                raise RuntimeFailure("%s cannot be in a layer: its name is how a layer removes a file" % path)
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if self._skip is not None and self._skip(folder, name, prefix + name, found):
                continue
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                if not self._whole:
                    self._tar.add_bytes(prefix + b".wh." + name, b"")
            elif stat.S_ISDIR(found.st_mode):
                self._walk_into(folder, lower, prefix, name, found)
            else:
                self._take(folder, lower, prefix + name, name, found)

    def _walk_into(self, folder, lower, prefix, name, found):
        inner, below = trees.open_folder(name, folder), None
        try:
            if lower is not None:
                try:
                    below = trees.open_folder(name, lower)
                except OSError:
                    below = None  # not there, or no folder: this one replaces it
            if below is None or not _same(found, os.fstat(below), inner, below):
                self._add(prefix + name, found, inner, None)
            self._walk(inner, below, prefix + name + b"/")
        finally:
            os.close(inner)
            if below is not None:
                os.close(below)

    def _take(self, folder, lower, path, name, found):
        kind = stat.S_IFMT(found.st_mode)
        if kind not in _KINDS:
            return
        if lower is not None and self._unchanged(folder, lower, name, found):
            return
        if found.st_nlink > 1:
            first = self._links.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                self._tar.add(path, tar_reader.LINK, stat.S_IMODE(found.st_mode), link=first)
                return
        if kind != stat.S_IFREG:
            link = os.readlink(name, dir_fd=folder) if kind == stat.S_IFLNK else b""
            self._add(path, found, None, link)
            return
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            self._add(path, found, file, None)
            self._copy(file, found.st_size)
        finally:
            os.close(file)

    def _unchanged(self, folder, lower, name, found):
        try:
            before = os.stat(name, dir_fd=lower, follow_symlinks=False)
        except OSError:
            return False
        if stat.S_ISLNK(found.st_mode) and stat.S_ISLNK(before.st_mode):
            same_target = os.readlink(name, dir_fd=folder) == os.readlink(name, dir_fd=lower)
            return same_target and (found.st_uid, found.st_gid) == (before.st_uid, before.st_gid)
        if (found.st_size, found.st_mtime_ns, found.st_rdev) != (before.st_size, before.st_mtime_ns, before.st_rdev):
            return False
        if not stat.S_ISREG(found.st_mode):
            return _same(found, before, None, None)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        ours, theirs = os.open(name, flags, dir_fd=folder), os.open(name, flags, dir_fd=lower)
        try:
            return _same(found, before, ours, theirs)
        finally:
            os.close(ours)
            os.close(theirs)

    def _add(self, path, found, fd, link):
        mtime = found.st_mtime_ns if self._latest is None else min(found.st_mtime_ns, self._latest)
        self._tar.add(
            path, _KINDS[stat.S_IFMT(found.st_mode)], stat.S_IMODE(found.st_mode),
            size=found.st_size if stat.S_ISREG(found.st_mode) else 0, uid=found.st_uid, gid=found.st_gid,
            mtime=mtime, link=link or b"", device=found.st_rdev, xattrs=None if fd is None else _xattrs(fd),
        )  # fmt: skip

    def _copy(self, file, size):
        """Exactly `size` bytes, which the header has promised: a file that shrank meanwhile ends in zeros."""
        left = size
        while left:
            data = os.read(file, min(left, _CHUNK)) or bytes(min(left, _CHUNK))
            self._tar.write(data)
            left -= len(data)
        self._tar.pad(size)


def _xattrs(fd):
    found = {}
    try:
        for name in os.listxattr(fd):
            if ".overlay." not in name and not name.startswith(("trusted.", "security.selinux")):
                found[os.fsencode(name)] = os.getxattr(fd, name)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    return found


def _same(found, before, ours, theirs):
    keys = ("st_mode", "st_uid", "st_gid", "st_rdev")
    if any(getattr(found, key) != getattr(before, key) for key in keys):
        return False
    return ours is None or _xattrs(ours) == _xattrs(theirs)


def _is_opaque(folder):
    for form in ("trusted", "user"):
        try:
            if os.getxattr(folder, form + ".overlay.opaque") == b"y":
                return True
        except OSError:
            continue  # no such attribute
    return False
