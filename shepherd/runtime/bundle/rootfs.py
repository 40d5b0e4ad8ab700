"""The file system of a container, built below its root while the machine's is still there.

Every place in the container is found once, as a descriptor that cannot lie outside its root (linux/paths.py), and what
is mounted there is named by /proc/self/fd: the machine's /proc, which the container does not get to touch. Sources are
paths of the machine. Only when all of it is done does the root become the root (`enter`).
"""

import errno
import os
import stat

from shepherd.runtime.bundle import options
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import mounts, paths, syscalls, user_namespace
from shepherd.runtime.linux.paths import shown

_PROPAGATION = dict(options.PROPAGATION, **{"": syscalls.MS_SLAVE | syscalls.MS_REC})
# file systems that show the kernel: a container that could choose where they go would choose what we write into
_EXACT = ("proc", "sysfs")
_DEVICE_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Rootfs:
    """The root of a container being built. `root` is a descriptor of the folder that becomes /."""

    def __init__(self, config: dict, path: str, group: str, trees: dict, own: dict):
        """`trees` are mounts opened ahead, by number of the mount; `own` the namespaces that are new, by type."""
        self.config = config
        self.path = path
        self.group = group
        self.trees = trees
        self.own = own
        self.root = -1
        if any("tmpcopyup" in (mount.get("options") or ()) for mount in config.get("mounts") or []):
            __import__("shepherd.runtime.linux.attributes")  # while there is something to import from
        self._late = []  # what becomes read-only when everything is in it
        self._groups = None  # where the control groups come, and how

    def build(self, before_groups) -> None:
        """All mounts and devices; `before_groups()` is called where control groups are about to be mounted.

        Where they are the last mount, as everybody has it, their places are made, and `mount_groups` is still to be
        called: to put the process into its group takes the longest of all. Raises OSError or RuntimeFailure.
        """
        linux = self.config["linux"]
        self._open_root(linux.get("rootfsPropagation") or "")
        table = self.config.get("mounts") or []
        for number, mount in enumerate(table):
            if mount.get("type") == "cgroup" and number + 1 < len(table):
                before_groups()
            with _Named(number, mount):
                self._mount(number, mount)
                if self._groups and number + 1 < len(table):
                    self.mount_groups()
        if not any(mount["destination"].rstrip("/") == "/dev" and _is_bind(mount) for mount in table):
            self._make_default_devices()
        for number, device in enumerate(linux.get("devices") or []):
            if os.path.normpath(device["path"]) == "/dev/ptmx":
                continue  # the container's own stands there; the machine's would open the machine's terminals
            try:
                self._make_device(device)
            except OSError as error:
                raise RuntimeFailure(
                    "/linux/devices/%d: cannot make %s: %s" % (number, device["path"], error.strerror)
                ) from None

    def mount_groups(self) -> None:
        """What `build` has left to do, if anything, now that the process is in its group."""
        if self._groups is None:
            return
        number, chosen, places = self._groups
        self._groups = None
        with _Named(number, self.config["mounts"][number]):
            for hierarchy, place in places:
                try:
                    self._mount_group(hierarchy, place, chosen)
                finally:
                    os.close(place)

    def covers_groups(self) -> bool:
        """Whether `protect` has something to do where control groups are."""
        linux = self.config["linux"]
        if self._groups is None:
            return False
        target = os.path.normpath(self.config["mounts"][self._groups[0]]["destination"])
        hidden = (linux.get("readonlyPaths") or []) + (linux.get("maskedPaths") or [])
        return any((os.path.normpath(path) + "/").startswith(target + "/") for path in hidden)

    def protect(self) -> None:
        """What hides or keeps from writing; after everything that still has to be written."""
        linux = self.config["linux"]
        for path in linux.get("readonlyPaths") or []:
            self._make_readonly(path)
        masked = linux.get("maskedPaths") or []
        if masked:
            null = open_null()
            try:
                for path in masked:
                    self._mask(path, null)
            finally:
                os.close(null)
        for path in self._late:
            self._change(path, syscalls.MOUNT_ATTR_RDONLY, 0)
        if self.config["root"].get("readonly"):
            syscalls.mount(None, shown(self.root), None, _kept_flags(self.root) | mounts.RDONLY_BIND)

    def enter(self) -> None:
        """Make it the root of this process, and leave nothing of the machine's in sight."""
        old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchdir(self.root)
        os.close(self.root)
        try:
            syscalls.pivot_root(".", ".")
        except OSError as error:
            hint = None
            if error.errno == errno.EINVAL:
                hint = "the machine's root is in memory (initramfs): --no-pivot makes do without"
            raise RuntimeFailure("pivot_root: %s" % error.strerror, hint) from None
        os.fchdir(old)
        os.close(old)
        syscalls.mount(None, ".", None, syscalls.MS_SLAVE | syscalls.MS_REC)  # umount below is not to reach the machine
        syscalls.umount(".", syscalls.MNT_DETACH)
        os.chdir("/")
        propagation = self.config["linux"].get("rootfsPropagation")
        if propagation:
            syscalls.mount(None, "/", None, _PROPAGATION[propagation])

    def enter_moving(self) -> None:
        """The same where pivot_root(2) is impossible: the root is moved onto the machine's (--no-pivot)."""
        os.fchdir(self.root)
        os.close(self.root)
        syscalls.mount(".", "/", None, mounts.MS_MOVE)
        os.chroot(".")
        os.chdir("/")

    def _open_root(self, propagation):
        first = _PROPAGATION[propagation.replace("unbindable", "private")]  # it is bound once, below
        syscalls.mount(None, "/", None, first)
        _make_parent_private(self.path)
        syscalls.mount(self.path, self.path, None, syscalls.MS_BIND | syscalls.MS_REC)
        self.root = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    # One mount of the table

    def _mount(self, number, mount):
        kind, target = mount.get("type") or "", mount["destination"]
        chosen = options.parse(mount.get("options") or [], "/mounts/%d/options" % number)
        if chosen.bind or kind == "bind":
            self._bind(number, mount, chosen)
        elif kind == "cgroup":
            self._groups = (number, chosen, self._make_groups(target, chosen))
        elif chosen.remount:
            place = paths.open_inside(self.root, target)
            try:
                syscalls.mount(None, shown(place), None, syscalls.MS_REMOUNT | chosen.flags, chosen.data)
            finally:
                os.close(place)
        else:
            self._mount_new(mount, kind, target, chosen)

    def _mount_new(self, mount, kind, target, chosen):
        """A file system of its own, not a part of another."""
        flags = chosen.flags
        if (kind == "tmpfs" and flags & syscalls.MS_RDONLY) or target.rstrip("/") == "/dev":
            if flags & syscalls.MS_RDONLY:
                self._late.append(target)
            flags &= ~syscalls.MS_RDONLY
        place = self._folder(target, kind in _EXACT)
        try:
            if kind in _EXACT and user_namespace.confined():
                self._mount_kernel(kind, place, flags)
            elif kind == "mqueue":
                syscalls.mount(mount.get("source") or kind, shown(place), kind, flags)
            else:
                syscalls.mount(mount.get("source") or kind, shown(place), kind, flags, chosen.data or None)
            if chosen.copy_up and kind == "tmpfs":
                top = paths.open_inside(self.root, target, os.O_PATH | os.O_DIRECTORY)
                try:
                    mounts.copy_up(place, top)
                finally:
                    os.close(top)
        finally:
            os.close(place)
        self._finish(target, chosen)

    def _mount_kernel(self, kind, place, flags):
        """/proc or /sys. In a user namespace each can be mounted only with processes, or a network, of its own: else
        the machine's are shown; /sys read-only with all that is in it, its control groups too (CVE-2023-25809)."""
        try:
            syscalls.mount(kind, shown(place), kind, flags)
        except PermissionError:
            words = ["rbind", "rnosuid", "rnoexec", "rnodev"] + (["rro"] if kind == "sysfs" else [])
            source, needed = {"sysfs": ("/sys", "network"), "proc": ("/proc", "pid")}[kind]
            kinds = {one["type"] for one in self.config["linux"].get("namespaces") or []}
            tree = clone_source({"source": source}, options.parse(words, "")) if needed not in kinds else None
            if tree is None:
                raise  # before Linux 5.12 it could not be made read-only as a whole
            try:
                syscalls.move_mount(tree, place)
            finally:
                os.close(tree)

    def _folder(self, target, exact):
        """The folder to mount on. Where it matters that it is the one and no link to another, links are refused."""
        if not exact:
            return paths.make_folder(self.root, target)
        place = paths.make_folder(self.root, target)
        os.close(place)
        try:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
            return paths.open_inside(self.root, os.path.normpath("/" + target), flags, syscalls.RESOLVE_NO_SYMLINKS)
        except OSError:
            raise RuntimeFailure("%s in the root is no folder (a symbolic link?)" % target) from None

    def _bind(self, number, mount, chosen):
        target = mount["destination"]
        tree = self.trees.get(number)
        if tree is None:
            tree = clone_source(mount, chosen)
        source = os.stat(shown(tree) if tree is not None else mount["source"])
        make = paths.make_folder if stat.S_ISDIR(source.st_mode) else paths.make_file
        place = make(self.root, target)
        try:
            if tree is not None:
                syscalls.move_mount(tree, place)
                os.close(tree)
                return
            recursive = syscalls.MS_REC if chosen.recursive else 0
            syscalls.mount(mount["source"], shown(place), None, syscalls.MS_BIND | recursive)
        finally:
            os.close(place)
        # Before Linux 5.12 flags come afterwards: what is there now has to be what was mounted
        place = paths.open_inside(self.root, target)
        try:
            found = os.fstat(place)
            if (found.st_dev, found.st_ino) != (source.st_dev, source.st_ino):
                raise RuntimeFailure("%s was changed while it was mounted" % target)
            if chosen.recursive_flags or chosen.recursive_cleared or chosen.idmap:
                raise RuntimeFailure("/mounts/%d/options: this kernel cannot (Linux 5.12 can)" % number)
            flags = (_kept_flags(place) | chosen.flags) & ~chosen.cleared
            syscalls.mount(None, shown(place), None, syscalls.MS_REMOUNT | syscalls.MS_BIND | flags)
            for one in chosen.propagation:
                syscalls.mount(None, shown(place), None, one)
        finally:
            os.close(place)

    def _finish(self, target, chosen):
        """What mount(2) does not do in the first call."""
        if chosen.recursive_flags or chosen.recursive_cleared:
            add, clear = options.attributes(chosen.recursive_flags, chosen.recursive_cleared)
            self._change(target, add, clear, syscalls.AT_RECURSIVE)
        for one in chosen.propagation:
            place = paths.open_inside(self.root, target)
            try:
                syscalls.mount(None, shown(place), None, one)
            finally:
                os.close(place)

    def _change(self, target, add, clear, flags=0):
        place = paths.open_inside(self.root, target)
        try:
            try:
                syscalls.mount_setattr(place, add, clear, 0, 0, flags)
            except OSError as error:
                if error.errno != errno.ENOSYS or flags:
                    raise
                kept = _kept_flags(place) | (syscalls.MS_RDONLY if add & syscalls.MOUNT_ATTR_RDONLY else 0)
                syscalls.mount(None, shown(place), None, syscalls.MS_REMOUNT | syscalls.MS_BIND | kept)
        finally:
            os.close(place)

    def _make_groups(self, target, chosen):
        """The places of the control groups, laid out as on this machine: a list of (hierarchy, descriptor)."""
        from shepherd.runtime.linux import cgroups

        # not those in what was shown of the machine's /sys (_mount_kernel)
        found = [one for one in cgroups.hierarchies() if not one[0].startswith(self.path + "/")]
        top = self._folder(target, False)
        try:
            if [kind for _path, kind, _names in found] == ["cgroup2"]:
                return [(found[0], os.dup(top))]
            syscalls.mount("tmpfs", shown(top), "tmpfs", chosen.flags & ~syscalls.MS_RDONLY, "mode=755")
        finally:
            os.close(top)
        above = paths.make_folder(self.root, target)
        try:
            places = [(one, paths.make_folder(above, os.path.basename(one[0]))) for one in found]
            for path, _kind, names in found:
                for name in names if len(names) > 1 else []:  # cpu -> cpu,cpuacct, as distributions have it
                    if name != os.path.basename(path) and not name.startswith("name="):
                        try:
                            os.symlink(os.path.basename(path), name, dir_fd=above)
                        except FileExistsError:
                            pass
        finally:
            os.close(above)
        if chosen.flags & syscalls.MS_RDONLY:
            self._change(target, syscalls.MOUNT_ATTR_RDONLY, 0)
        return places

    def _mount_group(self, hierarchy, place, chosen):
        """One of them; without a namespace of them, only the container's own."""
        path, kind, names = hierarchy
        if "cgroup" in self.own and kind == "cgroup2":
            syscalls.mount("cgroup2", shown(place), "cgroup2", chosen.flags)
        elif "cgroup" in self.own:
            named = any(name.startswith("name=") for name in names)
            data = ",".join((["none"] if named else []) + names + (["xattr"] if named else []))
            syscalls.mount("cgroup", shown(place), "cgroup", chosen.flags, data)
        else:
            source = os.path.join(path, self.group)
            tree = clone_source({"source": source if os.path.isdir(source) else path}, chosen)
            if tree is not None:
                syscalls.move_mount(tree, place)
                os.close(tree)
            else:
                syscalls.mount(
                    source, shown(place), None, syscalls.MS_BIND
                )  # before Linux 5.12; below a read-only tmpfs

    # Devices

    def _make_default_devices(self):
        """config-linux.md, "Default Devices"."""
        for name, major, minor in mounts.DEVICES:
            self._make_device({"path": "/dev/" + name, "type": "c", "major": major, "minor": minor, "fileMode": 0o666})
        folder = paths.make_folder(self.root, "/dev")
        try:
            for name, target in mounts.LINKS:
                try:
                    os.symlink(target, name, dir_fd=folder)
                except FileExistsError:
                    pass  # the image's own
        finally:
            os.close(folder)

    def _make_device(self, device):
        path = os.path.normpath("/" + device["path"].lstrip("/"))
        above, name = os.path.split(path)
        kind = _DEVICE_TYPES[device["type"]]
        number = 0 if device["type"] == "p" else os.makedev(device["major"], device["minor"])
        folder = paths.make_folder(self.root, above)
        try:
            try:
                if "user" in self.own and device["type"] != "p":
                    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))  # the node could not be opened
                os.mknod(name, kind | 0o600, number, dir_fd=folder)
            except FileExistsError:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_IFMT(found.st_mode) != kind or (number and found.st_rdev != number):
                    raise RuntimeFailure("%s exists in the root, and is not that device" % path) from None
                return None
            except PermissionError:
                return self._bind_device(path, kind, number)
            # by descriptor: the folder may be one that others write to
            node = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                found = os.fstat(node)
                if stat.S_IFMT(found.st_mode) != kind or found.st_rdev != number:
                    raise RuntimeFailure("%s was changed while it was made" % path)
                owner = device.get("uid") or 0, device.get("gid") or 0
                if owner != (found.st_uid, found.st_gid):
                    os.chown(shown(node), *owner)
                mode = device.get("fileMode")
                os.chmod(shown(node), (0o666 if mode is None else mode) & 0o7777)
            finally:
                os.close(node)
        finally:
            os.close(folder)

    def _bind_device(self, path, kind, number):
        """In a user namespace nothing can be made that the machine's devices are reached by: theirs are shown."""
        source = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(source)
            if stat.S_IFMT(found.st_mode) != kind or found.st_rdev != number:
                raise RuntimeFailure("%s of this machine is another device" % path)
            place = paths.make_file(self.root, path)
            try:
                syscalls.mount(shown(source), shown(place), None, syscalls.MS_BIND)
            finally:
                os.close(place)
        finally:
            os.close(source)

    # Hiding

    def _make_readonly(self, path):
        try:
            place = paths.open_inside(self.root, path)
        except OSError:
            return  # nothing is there, or nothing that a process inside would get at
        try:
            try:
                tree = syscalls.open_tree(
                    place, "", syscalls.AT_EMPTY_PATH | syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE
                )
                try:
                    syscalls.mount_setattr(tree, syscalls.MOUNT_ATTR_RDONLY, 0, 0, 0, syscalls.AT_RECURSIVE)
                    syscalls.move_mount(tree, place)
                finally:
                    os.close(tree)
                return
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise
            syscalls.mount(shown(place), shown(place), None, syscalls.MS_BIND | syscalls.MS_REC)
        finally:
            os.close(place)
        self._change(path, syscalls.MOUNT_ATTR_RDONLY, 0)

    def _mask(self, path, null):
        try:
            place = paths.open_inside(self.root, path)
        except OSError:
            return
        try:
            if stat.S_ISDIR(os.fstat(place).st_mode):
                syscalls.mount("tmpfs", shown(place), "tmpfs", syscalls.MS_RDONLY, "size=0,nr_inodes=2,mode=755")
            else:
                syscalls.mount(shown(null), shown(place), None, syscalls.MS_BIND)
        finally:
            os.close(place)


class _Named:
    """What fails inside is said of this mount."""

    def __init__(self, number, mount):
        self._number = number
        self._mount = mount

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError):
            mount = self._mount
            what = mount.get("source") or mount.get("type") or "mount"
            raise RuntimeFailure(
                "/mounts/%d: cannot mount %s at %s: %s" % (self._number, what, mount["destination"], error.strerror)
            ) from None


def open_null() -> int:
    """The machine's /dev/null, and nothing that was put in its place (null(4))."""
    null = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
    found = os.fstat(null)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        os.close(null)
        raise RuntimeFailure("/dev/null of this machine is another device")
    return null


def clone_source(mount: dict, chosen, users=None):
    """The source of a bind mount as a mount of its own with its flags, attached nowhere; None before Linux 5.12.

    `users` is the descriptor of a user namespace by which owners are mapped.
    """
    flags = syscalls.OPEN_TREE_CLONE | (syscalls.AT_RECURSIVE if chosen.recursive else 0)
    try:
        tree = syscalls.open_tree(syscalls.AT_FDCWD, mount["source"], flags)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return None
        raise
    try:
        if users is not None:
            deep = syscalls.AT_RECURSIVE if chosen.idmap == "ridmap" else 0
            syscalls.mount_setattr(tree, syscalls.MOUNT_ATTR_IDMAP, 0, 0, users, deep)
        if chosen.recursive_flags or chosen.recursive_cleared:
            add, clear = options.attributes(chosen.recursive_flags, chosen.recursive_cleared)
            syscalls.mount_setattr(tree, add, clear, 0, 0, syscalls.AT_RECURSIVE)
        add, clear = options.attributes(chosen.flags, chosen.cleared)
        if add or clear:
            syscalls.mount_setattr(tree, add, clear)
        for one in chosen.propagation or [syscalls.MS_PRIVATE | syscalls.MS_REC]:
            deep = syscalls.AT_RECURSIVE if one & syscalls.MS_REC else 0
            syscalls.mount_setattr(tree, 0, 0, one & ~syscalls.MS_REC, 0, deep)
    except OSError as error:
        os.close(tree)
        if error.errno == errno.ENOSYS and users is None:
            return None
        raise
    return tree


def _is_bind(mount):
    return mount.get("type") == "bind" or bool({"bind", "rbind"}.intersection(mount.get("options") or []))


def _kept_flags(place):
    """The flags of the mount that a descriptor is on, for a remount that is to change one of them (statvfs(3))."""
    found = os.fstatvfs(place).f_flag
    known = {1: syscalls.MS_RDONLY, 2: syscalls.MS_NOSUID, 4: syscalls.MS_NODEV, 8: syscalls.MS_NOEXEC}
    known.update({1024: syscalls.MS_NOATIME, 2048: syscalls.MS_NODIRATIME, 4096: syscalls.MS_RELATIME})
    return sum(flag for bit, flag in known.items() if found & bit)


def _make_parent_private(path):
    """pivot_root(2) refuses a root whose parent mount is shared."""
    best = ""
    with open("/proc/self/mountinfo", "rb") as file:
        shared = b""
        for line in file:
            if b" shared:" in line:
                shared += line
    if not shared:
        return
    for line in shared.split(b"\n"):
        fields = line.split()
        if fields:
            point = os.fsdecode(fields[4]).replace("\\040", " ")
            if (path + "/").startswith(point.rstrip("/") + "/") and len(point) > len(best):
                best = point
    if best:
        syscalls.mount(None, best, None, syscalls.MS_PRIVATE)
