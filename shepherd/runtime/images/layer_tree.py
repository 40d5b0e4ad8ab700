"""A layer's tree while it grows: the way to its folders, what stands in the way, and what the layer removes.

What comes is hostile: every name is split into components and walked with O_NOFOLLOW below the file descriptor of the
tree's root. A symbolic link on the way is read and its target walked again from that root, as a process inside the
container would see it. Nobody else may write into the tree meanwhile: it lies in a folder of mode 0700.
"""

import os
import stat

from shepherd.runtime.images import trees
from shepherd.runtime.images.tar_reader import Broken

WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."  # what else begins so is aufs' own housekeeping, and means nothing in a layer
_MOST_LINKS = 40  # followed on one way: MAXSYMLINKS of the kernel
_DEEPEST = 256
_MOST_REPLACED = 1000  # folders of one layer replaced by the same layer: what is known below each is looked for

IMPLIED = (0o755, 0, 0, 0, None)  # mode, owner, group, time and attributes of a folder that no entry tells about


class LayerTree:
    """What one layer makes below `root` (a file descriptor of a folder, which stays open); `form` as in unpack.

    Paths are bytes below the root, without links on their way; the root's is empty.
    fds        folder → its descriptor, while it is open
    folders    folder of this layer → the attributes that it gets at the end
    times      in a flat tree: folder of an earlier layer → its time (ns), which a file made in it changes
    made       in a flat tree: what is this layer's
    whiteouts  removals that this layer has made
    implied    folders that the layer has things in, no entry for and no removal of
    """

    def __init__(self, root, form):
        self.root = root
        self.flat = form == "flat"
        self._opaque_name = "%s.overlay.opaque" % form
        self._aliases = {}  # folder as an entry names it → where it is
        self._replaced = 0
        self.fds = {b"": root}
        self.folders = {} if self.flat else {b"": IMPLIED}
        self.times = {}
        self.made = set()
        self.whiteouts = set()
        self.implied = set()

    # The way to a folder

    def enter(self, path):
        """(path without links, descriptor) of the folder that an entry calls `path`; it is made where there is none."""
        fd = self.fds.get(path)
        if fd is not None:
            return path, fd
        known = self._aliases.get(path)
        if known is None:
            known = self._walk(path)
            if known != path:
                self._aliases[path] = known
        fd = self.fds.get(known)
        if fd is None:
            fd = self._descend(known)
        return known, fd

    def _descend(self, path):
        """The descriptor of a folder that is known to be there and to have no links on its way."""
        known = path
        while known not in self.fds:
            known = known.rpartition(b"/")[0]
        fd = self.fds[known]
        rest = path[len(known) :].lstrip(b"/")
        for name in rest.split(b"/"):
            known = known + b"/" + name if known else name
            fd = self.keep(known, trees.open_folder(name, fd))
        return fd

    def keep(self, path, fd):
        """Remember the descriptor of a folder, which is closed with the others; the descriptor."""
        self.fds[path] = fd
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
            if below in self.fds:
                place = below
                continue
            fd = self.fds.get(place)
            if fd is None:
                fd = self._descend(place)
            try:
                self.keep(below, self._open_or_make(fd, name, below))
                place = below
            except NotADirectoryError:
                if below in self.whiteouts or (self.flat and below not in self.made):
                    # of a lower layer: a folder of this one hides it, link or not
                    self.make_room(below, fd, name)
                    inner = self.keep(below, self._open_or_make(fd, name, below))
                    self.implied.discard(below)
                    if not self.flat:
                        self.set_opaque(inner)
                    place = below
                    continue
                try:
                    target = os.readlink(name, dir_fd=fd)
                except OSError:
                    raise Broken("%s is below something that is no folder" % shown(path))
                links += 1
                if links > _MOST_LINKS:
                    raise Broken("%s is reached through too many links" % shown(path))
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
            self.folders[path] = IMPLIED
            found = trees.open_folder(name, parent)
        if self.flat and path not in self.made:
            self.made.add(path)
            if path not in self.folders:
                self.times[path] = os.fstat(found).st_mtime_ns
        return found

    def forget(self):
        """Close what is open; what an entry calls a folder may now be something else."""
        for path, fd in self.fds.items():
            if path:
                os.close(fd)
        self.fds = {b"": self.root}
        self._aliases.clear()

    def make_room(self, path, fd, name):
        """Take away what is at `path`, which an entry replaces."""
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
        if not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=fd)
            self.whiteouts.discard(path)
            if stat.S_ISLNK(mode):
                self._aliases.clear()
            return
        trees.remove(name, fd)
        if self.flat and path not in self.made:
            return  # all of it was of earlier layers, and nothing of it is known here
        self._replaced += 1
        if self._replaced > _MOST_REPLACED:
            raise Broken("it makes folders and replaces them more than %d times" % _MOST_REPLACED)
        below = path + b"/"
        for gone in [one for one in self.fds if (one + b"/").startswith(below)]:
            os.close(self.fds.pop(gone))
        self._aliases.clear()
        for known in (self.folders, self.times):
            for gone in [one for one in known if (one + b"/").startswith(below)]:
                del known[gone]
        self.implied -= {one for one in self.implied if (one + b"/").startswith(below)}
        self.whiteouts -= {one for one in self.whiteouts if one.startswith(below)}

    # Whiteouts

    def white_out(self, parent, base):
        """An entry below `parent` whose name begins with WHITEOUT: something goes, or all that earlier layers have."""
        if base == _OPAQUE:
            folder, fd = self.enter(parent)
            if self.flat:
                self._remove_earlier(folder, fd)
            else:
                self.set_opaque(fd)
            return
        if base.startswith(_AUFS):
            return
        name = base[len(WHITEOUT) :]
        if name in (b"", b".", b".."):
            raise Broken("%s is a removal of nothing" % shown(base))
        folder, fd = self.enter(parent)
        path = folder + b"/" + name if folder else name
        if self.flat:
            if path not in self.made:
                try:
                    self.make_room(path, fd, name)
                except FileNotFoundError:
                    pass  # a removal of what is not there removes nothing
            elif path in self.folders:
                self._remove_earlier(path, self.enter(path)[1])
            return
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=fd)
            self.whiteouts.add(path)
        except FileExistsError:
            # It is this layer's, and removals are of what is below: a folder then hides what it would merge with.
            if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                self.set_opaque(self.enter(path)[1])
                self.implied.discard(path)

    def set_opaque(self, fd):
        """What earlier layers have in this folder is not seen."""
        os.setxattr(fd, self._opaque_name, b"y")

    def _remove_earlier(self, folder, fd):
        """Take away what earlier layers have in a folder of a flat tree; what this one has made stays."""
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            fd = self.enter(folder)[1]
            for name in os.listdir(fd):
                name = os.fsencode(name)
                path = folder + b"/" + name if folder else name
                if path not in self.made:
                    self.make_room(path, fd, name)
                elif stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    waiting.append(path)


def split(name):
    """(parent, last component) of an entry's name, below the root; the last one is empty for the root itself."""
    if name.startswith(b"./"):
        name = name[2:]
    if b"//" in name or b"/." in name or name.startswith((b"/", b".")) or name.endswith(b"/"):
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise Broken("%s climbs up" % shown(name))
        name = b"/".join(parts)
    if name.count(b"/") >= _DEEPEST:
        raise Broken("%s is more than %d folders deep" % (shown(name), _DEEPEST))
    parent, _, base = name.rpartition(b"/")
    return parent, base


def shown(name):
    """An entry's name as a message has it: escaped, and cut."""
    return ascii(os.fsdecode(name))[:200]
