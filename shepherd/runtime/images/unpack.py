"""A layer's tar becomes a tree of files (OCI image specification, layer.md).

What comes is hostile: `layer_tree` is how a name in it finds its place, and never one outside.

`form` says what a whiteout becomes:
  trusted, user   the marks of an overlay's layer: a character device 0:0, and the extended attribute
                  trusted.overlay.opaque or user.overlay.opaque (kernel, filesystems/overlayfs.rst, "whiteouts")
  flat            the removal of what earlier layers left in the same tree
"""

import errno
import os
import stat

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import tar_reader, trees
from shepherd.runtime.images.layer_tree import WHITEOUT, LayerTree, shown, split
from shepherd.runtime.images.squash import Squashed
from shepherd.runtime.images.tar_reader import Broken
from shepherd.runtime.linux import user_namespace

_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN = 128  # folders, between two entries
_CHECK_EVERY = 1 << 26  # bytes written between two looks at the space that is left

# Kept of extended attributes. What speaks to an overlay, or to the host's security modules, is not a layer's to say.
_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")
_NOT_XATTRS = (b"user.overlay.",)


class Limits:
    """What one layer may come to: `size` in bytes (as stored, and of each sparse file as it seems), number of
    `entries`, and `ratio` of its size to its compressed size, from `ratio_from` bytes on. `reserve`: bytes of the
    file system that must stay free."""

    def __init__(self, size=1 << 38, entries=4000000, ratio=400, ratio_from=1 << 30, reserve=1 << 26):
        self.size = size
        self.entries = entries
        self.ratio = ratio
        self.ratio_from = ratio_from
        self.reserve = reserve

    def check_ratio(self, unpacked, packed):
        if unpacked > self.size:
            raise Broken("it unpacks to more than %d bytes" % self.size)
        if unpacked > self.ratio_from and unpacked > packed * self.ratio:
            raise Broken("%d bytes unpack to more than %d: this looks like a bomb" % (packed, unpacked))


class Unpacker:
    """Makes the entries of one layer below `root` (a file descriptor of a folder, which stays open).

    `has_root` says afterwards whether there was an entry for the root. `owners`: whether owners can be set here; an
    ordinary user owns all. `devices`: whether device nodes can be made; otherwise they are left out.
    """

    def __init__(self, root, form="trusted", limits=None, owners=None, devices=None):
        privileged = os.geteuid() == 0
        self._tree = LayerTree(root, form)
        self._limits = limits or Limits()
        self._owners = privileged if owners is None else owners
        confined = privileged and user_namespace.confined()
        self._squashed = Squashed() if confined and self._owners else None
        self._devices = privileged and not confined if devices is None else devices
        self._checked = 0  # bytes written at the last look at the free space
        self._written = 0
        self.has_root = False

    @property
    def implied(self):
        """The folders that the layer has things in, no entry for and no removal of."""
        return self._tree.implied

    def unpack(self, stream) -> None:
        """Make every entry of the tar in `stream` (tar_reader.Stream). Raises RuntimeFailure; then the tree is to be
        thrown away."""
        name = b""
        count = 0
        makers = {
            tar_reader.FILE: self._make_file,
            tar_reader.FOLDER: self._make_folder,
            tar_reader.SYMLINK: self._make_symlink,
            tar_reader.LINK: self._make_link,
            tar_reader.FIFO: self._make_node,
            tar_reader.CHARACTER: self._make_node,
            tar_reader.BLOCK: self._make_node,
        }
        tree = self._tree
        try:
            if tree.flat:
                tree.times[b""] = os.fstat(tree.root).st_mtime_ns
            for entry in tar_reader.entries(stream):
                count += 1
                if len(tree.fds) > _MOST_OPEN:
                    tree.forget()  # here, where no entry holds one of them
                if count > self._limits.entries:
                    raise Broken("it has more than %d entries" % self._limits.entries)
                name = entry.name
                if self._squashed is not None:
                    self._squashed.change(entry)
                parent, base = split(name)
                if not base:
                    self._take_root(entry)
                elif base.startswith(WHITEOUT):
                    tree.white_out(parent, base)
                else:
                    folder, fd = tree.enter(parent)
                    path = folder + b"/" + base if folder else base
                    makers[entry.kind](entry, path, fd, base, stream)
                    if tree.flat:
                        tree.made.add(path)
            self._finish()
        except OSError as error:
            raise RuntimeFailure(
                "cannot unpack %s: %s" % (ascii(os.fsdecode(name))[:300], os.strerror(error.errno or 0))
            )
        finally:
            tree.forget()

    def _take_root(self, entry):
        if entry.kind != tar_reader.FOLDER:
            raise Broken("it says that the root of the container is no folder")
        self.has_root = True
        self._tree.folders[b""] = _attributes(entry)

    # Entries

    def _make_folder(self, entry, path, fd, name, _stream):
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            if path in self._tree.fds or stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                self._tree.implied.discard(path)
            else:
                opaque = path in self._tree.whiteouts
                self._tree.make_room(path, fd, name)
                os.mkdir(name, 0o700, dir_fd=fd)
                if opaque:
                    self._tree.set_opaque(self._tree.keep(path, trees.open_folder(name, fd)))
        self._tree.folders[path] = _attributes(entry)

    def _make_file(self, entry, path, fd, name, stream):
        try:
            file = os.open(name, _FILE, 0o600, dir_fd=fd)
        except FileExistsError:
            self._tree.make_room(path, fd, name)
            file = os.open(name, _FILE, 0o600, dir_fd=fd)
        try:
            if entry.sparse is not None:
                self._write_sparse(entry, file, stream)
            elif entry.stored:
                self._count(entry.stored, file)
                _write(file, stream.parts(entry.stored))
            if self._owners and (entry.uid or entry.gid):
                os.fchown(file, entry.uid, entry.gid)
            os.fchmod(file, entry.mode)  # after the owner, whose change takes setuid away
            if entry.xattrs:
                self._set_xattrs(file, entry.xattrs)
            os.utime(file, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(file)

    def _write_sparse(self, entry, file, stream):
        if entry.size > self._limits.size:
            raise Broken("%s seems to have %d bytes" % (shown(entry.name), entry.size))
        self._count(entry.stored, file)
        for offset, count in entry.sparse:
            os.lseek(file, offset, os.SEEK_SET)
            _write(file, stream.parts(count))
        os.ftruncate(file, entry.size)

    def _count(self, size, file):
        self._written += size
        if self._written > self._limits.size:
            raise Broken("it unpacks to more than %d bytes" % self._limits.size)
        if self._written - self._checked >= _CHECK_EVERY:
            self._checked = self._written
            space = os.fstatvfs(file)
            if space.f_bavail * space.f_frsize < self._limits.reserve + size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _make_symlink(self, entry, path, fd, name, _stream):
        if not entry.link:
            raise Broken("%s is a link to nothing" % shown(entry.name))
        try:
            os.symlink(entry.link, name, dir_fd=fd)
        except FileExistsError:
            self._tree.make_room(path, fd, name)
            os.symlink(entry.link, name, dir_fd=fd)
        if self._owners and (entry.uid or entry.gid):
            os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)

    def _make_link(self, entry, path, fd, name, _stream):
        parent, base = split(entry.link)
        if not base:
            raise Broken("%s is a hard link to the root" % shown(entry.name))
        folder, source = self._tree.enter(parent)
        target = folder + b"/" + base if folder else base
        if target == path:
            return
        try:
            found = os.stat(base, dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            found = None
        foreign = target in self._tree.whiteouts or (self._tree.flat and target not in self._tree.made)
        if found is None or stat.S_ISDIR(found.st_mode) or foreign:
            raise Broken("%s is a hard link to %s, which is no file of this layer" % (
                shown(entry.name), shown(entry.link)))  # fmt: skip
        try:
            os.link(base, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        except FileExistsError:
            self._tree.make_room(path, fd, name)
            if folder not in self._tree.fds:
                raise Broken("%s is a hard link to something in itself" % shown(entry.name))
            os.link(base, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)

    def _make_node(self, entry, path, fd, name, _stream):
        if entry.kind == tar_reader.FIFO:
            mode, device = stat.S_IFIFO, 0
        else:
            mode = stat.S_IFCHR if entry.kind == tar_reader.CHARACTER else stat.S_IFBLK
            device = os.makedev(entry.major, entry.minor)
            if device == 0 and mode == stat.S_IFCHR:
                raise Broken("%s is a character device 0:0, which an overlay takes for a removal" % shown(entry.name))
            if not self._devices:
                return
        try:
            os.mknod(name, mode | 0o600, device, dir_fd=fd)
        except FileExistsError:
            self._tree.make_room(path, fd, name)
            os.mknod(name, mode | 0o600, device, dir_fd=fd)
        if self._owners and (entry.uid or entry.gid):
            os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)
        os.chmod(name, entry.mode, dir_fd=fd)  # no link: it was made a moment ago, where nobody else can write
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)

    # Attributes

    def _set_xattrs(self, fd, xattrs):
        for name, value in xattrs.items():
            if not name.startswith(_XATTRS) or name.startswith(_NOT_XATTRS):
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                # a file system without them, or an ordinary user: the file is there, without its attribute
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise

    def _finish(self):
        """Folders get what the layer says about them once nothing more is made in them, the deepest first."""
        tree = self._tree
        tree.forget()
        for path, mtime in tree.times.items():
            if path not in tree.folders:
                os.utime(tree.enter(path)[1], ns=(mtime, mtime))
        tree.forget()
        for path in sorted(tree.folders, reverse=True):
            mode, uid, gid, mtime, xattrs = tree.folders[path]
            fd = tree.enter(path)[1]
            if self._owners and (uid or gid):
                os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
            if xattrs:
                self._set_xattrs(fd, xattrs)
            os.utime(fd, ns=(mtime, mtime))
            if path:
                os.close(tree.fds.pop(path))


def _attributes(entry):
    return (entry.mode, entry.uid, entry.gid, entry.mtime, entry.xattrs)


def _write(file, parts):
    for part in parts:
        done = os.write(file, part)
        while done < len(part):
            done += os.write(file, part[done:])
