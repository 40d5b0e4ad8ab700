"""A layer's tar becomes a tree of files (OCI image specification, layer.md).

What comes is hostile: every name in it is split into components and walked with O_NOFOLLOW below the file descriptor
of the tree's root. A symbolic link on the way is read and its target walked again from that root, as a process inside
the container would see it. Nobody else may write into the tree meanwhile: it lies in a folder of mode 0700.

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
from shepherd.runtime.images.squash import Squashed
from shepherd.runtime.images.tar_reader import Broken
from shepherd.runtime.linux import user_namespace

_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."  # what else begins so is aufs' own housekeeping, and means nothing in a layer
_MOST_LINKS = 40  # followed on one way: MAXSYMLINKS of the kernel
_MOST_OPEN = 128  # folders, between two entries
_DEEPEST = 256
_MOST_REPLACED = 1000  # folders of one layer replaced by the same layer: what is known below each is looked for
_CHECK_EVERY = 1 << 26  # bytes written between two looks at the space that is left

# Kept of extended attributes. What speaks to an overlay, or to the host's security modules, is not a layer's to say.
_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")
_NOT_XATTRS = (b"user.overlay.",)

IMPLIED = (0o755, 0, 0, 0, None)  # mode, owner, group, time and attributes of a folder that no entry tells about


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

    `implied` afterwards has the folders that the layer has things in, no entry for and no removal of; `has_root` says
    whether there was an entry for the root. `owners`: whether owners can
    be set here; an ordinary user owns all. `devices`: whether device nodes can be made; otherwise they are left out.
    """

    def __init__(self, root, form="trusted", limits=None, owners=None, devices=None):
        privileged = os.geteuid() == 0
        self._root = root
        self._flat = form == "flat"
        self._opaque_name = "%s.overlay.opaque" % form
        self._limits = limits or Limits()
        self._owners = privileged if owners is None else owners
        confined = privileged and user_namespace.confined()
        self._squashed = Squashed() if confined and self._owners else None
        self._devices = privileged and not confined if devices is None else devices
        self._fds = {b"": root}  # folder without links on its way → its descriptor
        self._aliases = {}  # folder as an entry names it → where it is
        self._folders = {} if form == "flat" else {b"": IMPLIED}  # folder → attributes that it gets at the end
        self._times = {}  # in a flat tree: folder of an earlier layer → its time, which a file made in it changes
        self._whiteouts = set()
        self._made = set()  # in a flat tree: what is this layer's
        self._checked = 0  # bytes written at the last look at the free space
        self._written = 0
        self._replaced = 0
        self.implied = set()
        self.has_root = False

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
        try:
            if self._flat:
                self._times[b""] = os.fstat(self._root).st_mtime_ns
            for entry in tar_reader.entries(stream):
                count += 1
                if len(self._fds) > _MOST_OPEN:
                    self._forget()  # here, where no entry holds one of them
                if count > self._limits.entries:
                    raise Broken("it has more than %d entries" % self._limits.entries)
                name = entry.name
                if self._squashed is not None:
                    self._squashed.change(entry)
                parent, base = _split(name)
                if not base:
                    self._take_root(entry)
                elif base.startswith(_WHITEOUT):
                    self._white_out(parent, base)
                else:
                    folder, fd = self._enter(parent)
                    path = folder + b"/" + base if folder else base
                    makers[entry.kind](entry, path, fd, base, stream)
                    if self._flat:
                        self._made.add(path)
            self._finish()
        except OSError as error:
            raise RuntimeFailure(
                "cannot unpack %s: %s" % (ascii(os.fsdecode(name))[:300], os.strerror(error.errno or 0))
            )
        finally:
            self._forget()

    # Folders

    def _enter(self, path):
        """(path without links, descriptor) of the folder that an entry calls `path`; it is made where there is none."""
        fd = self._fds.get(path)
        if fd is not None:
            return path, fd
        known = self._aliases.get(path)
        if known is None:
            known = self._walk(path)
            if known != path:
                self._aliases[path] = known
        fd = self._fds.get(known)
        if fd is None:
            fd = self._descend(known)
        return known, fd

    def _descend(self, path):
        """The descriptor of a folder that is known to be there and to have no links on its way."""
        known = path
        while known not in self._fds:
            known = known.rpartition(b"/")[0]
        fd = self._fds[known]
        rest = path[len(known) :].lstrip(b"/")
        for name in rest.split(b"/"):
            known = known + b"/" + name if known else name
            fd = self._keep(known, trees.open_folder(name, fd))
        return fd

    def _keep(self, path, fd):
        self._fds[path] = fd
        return fd

    def _walk(self, path):
        """Follow `path` from the root as the container would, and return it without links."""
        waiting = path.split(b"/")[::-1]
        place, links = b"", 0
        while waiting:
            name = waiting.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                place = place.rpartition(b"/")[0]
                continue
            below = place + b"/" + name if place else name
            if below in self._fds:
                place = below
                continue
            fd = self._fds.get(place)
            if fd is None:
                fd = self._descend(place)
            try:
                self._keep(below, self._open_or_make(fd, name, below))
                place = below
            except NotADirectoryError:
                if below in self._whiteouts or (self._flat and below not in self._made):
                    # of a lower layer: a folder of this one hides it, link or not
                    self._make_room(below, fd, name)
                    inner = self._keep(below, self._open_or_make(fd, name, below))
                    self.implied.discard(below)
                    if not self._flat:
                        self._set_opaque(inner)
                    place = below
                    continue
                try:
                    target = os.readlink(name, dir_fd=fd)
                except OSError:
                    raise Broken("%s is below something that is no folder" % _shown(path))
                links += 1
                if links > _MOST_LINKS:
                    raise Broken("%s is reached through too many links" % _shown(path))
                if target.startswith(b"/"):
                    place = b""
                waiting.extend(target.split(b"/")[::-1])
        return place

    def _open_or_make(self, parent, name, path):
        try:
            found = trees.open_folder(name, parent)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=parent)
            self.implied.add(path)
            self._folders[path] = IMPLIED
            found = trees.open_folder(name, parent)
        if self._flat and path not in self._made:
            self._made.add(path)
            if path not in self._folders:
                self._times[path] = os.fstat(found).st_mtime_ns
        return found

    def _forget(self):
        """Close what is open; what an entry calls a folder may now be something else."""
        for path, fd in self._fds.items():
            if path:
                os.close(fd)
        self._fds = {b"": self._root}
        self._aliases.clear()

    def _take_root(self, entry):
        if entry.kind != tar_reader.FOLDER:
            raise Broken("it says that the root of the container is no folder")
        self.has_root = True
        self._folders[b""] = _attributes(entry)

    # Entries

    def _make_folder(self, entry, path, fd, name, _stream):
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            if path in self._fds or stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                self.implied.discard(path)
            else:
                opaque = path in self._whiteouts
                self._make_room(path, fd, name)
                os.mkdir(name, 0o700, dir_fd=fd)
                if opaque:
                    self._set_opaque(self._keep(path, trees.open_folder(name, fd)))
        self._folders[path] = _attributes(entry)

    def _make_file(self, entry, path, fd, name, stream):
        try:
            file = os.open(name, _FILE, 0o600, dir_fd=fd)
        except FileExistsError:
            self._make_room(path, fd, name)
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
            raise Broken("%s seems to have %d bytes" % (_shown(entry.name), entry.size))
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
            raise Broken("%s is a link to nothing" % _shown(entry.name))
        try:
            os.symlink(entry.link, name, dir_fd=fd)
        except FileExistsError:
            self._make_room(path, fd, name)
            os.symlink(entry.link, name, dir_fd=fd)
        if self._owners and (entry.uid or entry.gid):
            os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)

    def _make_link(self, entry, path, fd, name, _stream):
        parent, base = _split(entry.link)
        if not base:
            raise Broken("%s is a hard link to the root" % _shown(entry.name))
        folder, source = self._enter(parent)
        target = folder + b"/" + base if folder else base
        if target == path:
            return
        try:
            found = os.stat(base, dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            found = None
        foreign = target in self._whiteouts or (self._flat and target not in self._made)
        if found is None or stat.S_ISDIR(found.st_mode) or foreign:
            raise Broken("%s is a hard link to %s, which is no file of this layer" % (
                _shown(entry.name), _shown(entry.link)))  # fmt: skip
        try:
            os.link(base, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        except FileExistsError:
            self._make_room(path, fd, name)
            if folder not in self._fds:
                raise Broken("%s is a hard link to something in itself" % _shown(entry.name))
            os.link(base, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)

    def _make_node(self, entry, path, fd, name, _stream):
        if entry.kind == tar_reader.FIFO:
            mode, device = stat.S_IFIFO, 0
        else:
            mode = stat.S_IFCHR if entry.kind == tar_reader.CHARACTER else stat.S_IFBLK
            device = os.makedev(entry.major, entry.minor)
            if device == 0 and mode == stat.S_IFCHR:
                raise Broken("%s is a character device 0:0, which an overlay takes for a removal" % _shown(entry.name))
            if not self._devices:
                return
        try:
            os.mknod(name, mode | 0o600, device, dir_fd=fd)
        except FileExistsError:
            self._make_room(path, fd, name)
            os.mknod(name, mode | 0o600, device, dir_fd=fd)
        if self._owners and (entry.uid or entry.gid):
            os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)
        os.chmod(name, entry.mode, dir_fd=fd)  # no link: it was made a moment ago, where nobody else can write
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)

    def _make_room(self, path, fd, name):
        """Take away what is at `path`, which an entry replaces."""
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
        if not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=fd)
            self._whiteouts.discard(path)
            if stat.S_ISLNK(mode):
                self._aliases.clear()
            return
        trees.remove(name, fd)
        if self._flat and path not in self._made:
            return  # all of it was of earlier layers, and nothing of it is known here
        self._replaced += 1
        if self._replaced > _MOST_REPLACED:
            raise Broken("it makes folders and replaces them more than %d times" % _MOST_REPLACED)
        below = path + b"/"
        for gone in [one for one in self._fds if (one + b"/").startswith(below)]:
            os.close(self._fds.pop(gone))
        self._aliases.clear()
        for known in (self._folders, self._times):
            for gone in [one for one in known if (one + b"/").startswith(below)]:
                del known[gone]
        self.implied -= {one for one in self.implied if (one + b"/").startswith(below)}
        self._whiteouts -= {one for one in self._whiteouts if one.startswith(below)}

    # Whiteouts

    def _white_out(self, parent, base):
        if base == _OPAQUE:
            folder, fd = self._enter(parent)
            if self._flat:
                self._remove_earlier(folder, fd)
            else:
                self._set_opaque(fd)
            return
        if base.startswith(_AUFS):
            return
        name = base[len(_WHITEOUT) :]
        if name in (b"", b".", b".."):
            raise Broken("%s is a removal of nothing" % _shown(base))
        folder, fd = self._enter(parent)
        path = folder + b"/" + name if folder else name
        if self._flat:
            if path not in self._made:
                try:
                    self._make_room(path, fd, name)
                except FileNotFoundError:
                    pass  # a removal of what is not there removes nothing
            elif path in self._folders:
                self._remove_earlier(path, self._enter(path)[1])
            return
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=fd)
            self._whiteouts.add(path)
        except FileExistsError:
            # It is this layer's, and removals are of what is below: a folder then hides what it would merge with.
            if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                self._set_opaque(self._enter(path)[1])
                self.implied.discard(path)

    def _set_opaque(self, fd):
        os.setxattr(fd, self._opaque_name, b"y")

    def _remove_earlier(self, folder, fd):
        """Take away what earlier layers have in a folder of a flat tree; what this one has made stays."""
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            fd = self._enter(folder)[1]
            for name in os.listdir(fd):
                name = os.fsencode(name)
                path = folder + b"/" + name if folder else name
                if path not in self._made:
                    self._make_room(path, fd, name)
                elif stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    waiting.append(path)

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
        self._forget()
        for path, mtime in self._times.items():
            if path not in self._folders:
                os.utime(self._enter(path)[1], ns=(mtime, mtime))
        self._forget()
        for path in sorted(self._folders, reverse=True):
            mode, uid, gid, mtime, xattrs = self._folders[path]
            fd = self._enter(path)[1]
            if self._owners and (uid or gid):
                os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
            if xattrs:
                self._set_xattrs(fd, xattrs)
            os.utime(fd, ns=(mtime, mtime))
            if path:
                os.close(self._fds.pop(path))


def _split(name):
    """(parent, last component) of an entry's name, below the root; the last one is empty for the root itself."""
    if name.startswith(b"./"):
        name = name[2:]
    if b"//" in name or b"/." in name or name.startswith((b"/", b".")) or name.endswith(b"/"):
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise Broken("%s climbs up" % _shown(name))
        name = b"/".join(parts)
    if name.count(b"/") >= _DEEPEST:
        raise Broken("%s is more than %d folders deep" % (_shown(name), _DEEPEST))
    parent, _, base = name.rpartition(b"/")
    return parent, base


def _attributes(entry):
    return (entry.mode, entry.uid, entry.gid, entry.mtime, entry.xattrs)


def _write(file, parts):
    for part in parts:
        done = os.write(file, part)
        while done < len(part):
            done += os.write(file, part[done:])


def _shown(name):
    return ascii(os.fsdecode(name))[:200]
