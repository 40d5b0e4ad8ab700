"""The file system of a container, built below its root while the machine's is still there.

Every place in the container is found once, as a descriptor that cannot lie outside its root (linux/paths.py), and what
is mounted there is named by /proc/self/fd: the machine's /proc, which the container does not get to touch. Sources are
paths of the machine. Only when all of it is done does the root become the root (`enter`).
"""

import errno
import os
import stat

from shepherd.runtime.bundle import devices, hiding, options, trees
from shepherd.runtime.bundle.shown_groups import ShownGroups
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import mounts, paths, syscalls, user_namespace
from shepherd.runtime.linux.paths import shown

PROPAGATION = dict(options.PROPAGATION, **{"": syscalls.MS_SLAVE | syscalls.MS_REC})
_NOTHING_SHARED = (syscalls.MS_SLAVE | syscalls.MS_REC, syscalls.MS_PRIVATE | syscalls.MS_REC)
NO_PIVOT = "the machine's root is in memory (initramfs): --no-pivot makes do without"
# file systems that show the kernel: a container that could choose where they go would choose what we write into
_EXACT = ("proc", "sysfs")


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
        self.hierarchies = None  # of control groups, where they are known
        self.mounter = mount_here  # of what shows the namespaces of whoever mounts it: /proc and control groups
        if any("tmpcopyup" in (mount.get("options") or ()) for mount in config.get("mounts") or []):
            __import__("shepherd.runtime.linux.attributes")  # while there is something to import from
        self._late = []  # what becomes read-only when everything is in it
        self._groups = None  # ShownGroups that are still to be mounted

    def build(self, before_groups):
        """All mounts and devices, as a generator that stops after each mount, for who has something to do meanwhile.

        `before_groups()` is called where control groups are about to be mounted. Where they are the last mount, as
        everybody has it, their places are made, and `mount_groups` is still to be called: to put the process into its
        group takes the longest of all. Raises OSError or RuntimeFailure.
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
            yield
        if not any(mount["destination"].rstrip("/") == "/dev" and _is_bind(mount) for mount in table):
            devices.make_defaults(self.root, self.own)
        for number, device in enumerate(linux.get("devices") or []):
            if os.path.normpath(device["path"]) == "/dev/ptmx":
                continue  # the container's own stands there; the machine's would open the machine's terminals
            try:
                devices.make(self.root, device, self.own)
            except OSError as error:
                raise RuntimeFailure(
                    "/linux/devices/%d: cannot make %s: %s" % (number, device["path"], error.strerror)
                ) from None

    def close(self) -> None:
        """For a process that goes on: nothing of it is open any more."""
        if self.root >= 0:
            os.close(self.root)
            self.root = -1
        if self._groups is not None:
            self._groups.close()

    def mount_groups(self) -> None:
        """What `build` has left to do, if anything, now that the process is in its group."""
        if self._groups is None:
            return
        groups, self._groups = self._groups, None
        mount = self.config["mounts"][groups.number]
        with _Named(groups.number, mount):
            groups.mount(self.own, self.group, self.mounter, _about(groups.number, mount))

    def covers_groups(self) -> bool:
        """Whether `protect` has something to do where control groups are."""
        linux = self.config["linux"]
        if self._groups is None:
            return False
        target = os.path.normpath(self._groups.target)
        hidden = (linux.get("readonlyPaths") or []) + (linux.get("maskedPaths") or [])
        return any((os.path.normpath(path) + "/").startswith(target + "/") for path in hidden)

    def protect(self) -> None:
        """What hides or keeps from writing; after everything that still has to be written."""
        linux = self.config["linux"]
        for path in linux.get("readonlyPaths") or []:
            hiding.make_readonly(self.root, path)
        masked = linux.get("maskedPaths") or []
        if masked:
            hiding.mask(self.root, masked)
        for path in self._late:
            trees.change(self.root, path, syscalls.MOUNT_ATTR_RDONLY)
        if self.config["root"].get("readonly"):
            syscalls.mount(None, shown(self.root), None, trees.kept_flags(self.root) | mounts.RDONLY_BIND)

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
                hint = NO_PIVOT
            raise RuntimeFailure("pivot_root: %s" % error.strerror, hint) from None
        os.fchdir(old)
        os.close(old)
        syscalls.mount(None, ".", None, syscalls.MS_SLAVE | syscalls.MS_REC)  # umount below is not to reach the machine
        syscalls.umount(".", syscalls.MNT_DETACH)
        os.chdir("/")
        self._propagate()

    def _propagate(self):
        propagation = self.config["linux"].get("rootfsPropagation")
        if propagation:
            syscalls.mount(None, "/", None, PROPAGATION[propagation])

    def enter_moving(self) -> None:
        """The same where pivot_root(2) is impossible: the root is moved onto the machine's (--no-pivot).

        The machine's stays below it, alone: with a whole /proc or /sys among the mounts, the kernel would let a user
        namespace inside mount another one, where nothing is masked (user_namespaces(7)). What of the container's is
        shared with the machine has the machine's mounts afterwards, and gives it none: they are one tree here.
        """
        others = [one for one in mounts.points() if not (one[0] + "/").startswith(self.path + "/")]
        old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchdir(self.root)
        syscalls.mount(".", "/", None, mounts.MS_MOVE)
        os.fchdir(old)
        os.close(old)
        syscalls.mount(None, ".", None, syscalls.MS_SLAVE | syscalls.MS_REC)  # as in `enter`
        for point, words in reversed(others):  # the last one first: it may cover another
            _take_away(point.lstrip("/"), os.fsdecode(words[words.index(b"-") + 1]))
        os.fchdir(self.root)
        os.close(self.root)
        os.chroot(".")
        os.chdir("/")
        self._propagate()

    def _open_root(self, propagation):
        first = PROPAGATION[propagation.replace("unbindable", "private")]  # it is bound once, below
        syscalls.mount(None, "/", None, first)
        if first not in _NOTHING_SHARED:
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
            self._groups = ShownGroups(number, target, chosen, self.hierarchies)
            top = self._folder(target, False)
            try:
                self._groups.make_places(self.root, top, self.path + "/")  # not what is in the machine's /sys, shown
            finally:
                os.close(top)
        elif chosen.remount:
            place = paths.open_inside(self.root, target)
            try:
                syscalls.mount(None, shown(place), None, syscalls.MS_REMOUNT | chosen.flags, chosen.data)
            finally:
                os.close(place)
        else:
            self._mount_new(mount, kind, target, chosen, _about(number, mount))

    def _mount_new(self, mount, kind, target, chosen, about):
        """A file system of its own, not a part of another."""
        flags = chosen.flags
        if (kind == "tmpfs" and flags & syscalls.MS_RDONLY) or target.rstrip("/") == "/dev":
            if flags & syscalls.MS_RDONLY:
                self._late.append(target)
            flags &= ~syscalls.MS_RDONLY
        data = (self._with_mode(target, chosen.data) if kind == "tmpfs" else chosen.data) or None
        place = self._folder(target, kind in _EXACT)
        try:
            if kind in _EXACT and user_namespace.confined():
                self._mount_kernel(kind, place, flags)
            elif kind == "mqueue":
                syscalls.mount(mount.get("source") or kind, shown(place), kind, flags)
            elif kind == "proc":
                self.mounter([(mount.get("source") or kind, place, kind, flags, data)], about)
            else:
                syscalls.mount(mount.get("source") or kind, shown(place), kind, flags, data)
            if chosen.copy_up and kind == "tmpfs":
                top = paths.open_inside(self.root, target, os.O_PATH | os.O_DIRECTORY)
                try:
                    mounts.copy_up(place, top)
                finally:
                    os.close(top)
        finally:
            os.close(place)
        self._finish(target, chosen)

    def _with_mode(self, target, data):
        """A tmpfs that says nothing of its mode has that of the folder which it covers, if there is one."""
        if any(word.startswith("mode=") for word in data.split(",")):
            return data
        try:
            covered = paths.open_inside(self.root, target, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return data
        mode = stat.S_IMODE(os.fstat(covered).st_mode)
        os.close(covered)
        return ",".join(filter(None, [data, "mode=%o" % mode]))

    def _mount_kernel(self, kind, place, flags):
        """/proc or /sys. In a user namespace each can be mounted only with processes, or a network, of its own: else
        the machine's are shown; /sys read-only with all that is in it, its control groups too (CVE-2023-25809)."""
        try:
            (self.mounter if kind == "proc" else mount_here)([(kind, place, kind, flags, None)])
        except PermissionError:
            words = ["rbind", "rnosuid", "rnoexec", "rnodev"] + (["rro"] if kind == "sysfs" else [])
            source, needed = {"sysfs": ("/sys", "network"), "proc": ("/proc", "pid")}[kind]
            kinds = {one["type"] for one in self.config["linux"].get("namespaces") or []}
            tree = trees.clone_source({"source": source}, options.parse(words, "")) if needed not in kinds else None
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
            tree = trees.clone_source(mount, chosen)
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
            flags = (trees.kept_flags(place) | chosen.flags) & ~chosen.cleared
            syscalls.mount(None, shown(place), None, syscalls.MS_REMOUNT | syscalls.MS_BIND | flags)
            for one in chosen.propagation:
                syscalls.mount(None, shown(place), None, one)
        finally:
            os.close(place)

    def _finish(self, target, chosen):
        """What mount(2) does not do in the first call."""
        if chosen.recursive_flags or chosen.recursive_cleared:
            add, clear = options.attributes(chosen.recursive_flags, chosen.recursive_cleared)
            trees.change(self.root, target, add, clear, syscalls.AT_RECURSIVE)
        for one in chosen.propagation:
            place = paths.open_inside(self.root, target)
            try:
                syscalls.mount(None, shown(place), None, one)
            finally:
                os.close(place)


def mount_here(mounts: list, _about=None) -> None:
    """New file systems: (source, descriptor of the place, type, flags, data) of each. Raises OSError.

    Who may do it later, since there is something to say of what fails (`about`), is in outside.py.
    """
    for source, place, kind, flags, data in mounts:
        syscalls.mount(source, shown(place), kind, flags, data)


def _take_away(path, kind):
    """What is mounted there goes, if it is still there. What is locked (user_namespaces(7)) stays: /proc or /sys is
    covered then."""
    if not path:
        return
    try:
        syscalls.umount(path, syscalls.MNT_DETACH)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EINVAL) and kind in _EXACT and os.path.isdir(path):
            syscalls.mount("tmpfs", path, "tmpfs", mounts.SHUT | syscalls.MS_RDONLY, "size=4k")


class _Named:
    """What fails inside is said of this mount."""

    def __init__(self, number, mount):
        self._number = number
        self._mount = mount

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError):
            raise RuntimeFailure("%s: %s" % (_about(self._number, self._mount), error.strerror)) from None


def _about(number, mount):
    what = mount.get("source") or mount.get("type") or "mount"
    return "/mounts/%d: cannot mount %s at %s" % (number, what, mount["destination"])


def _is_bind(mount):
    return mount.get("type") == "bind" or bool({"bind", "rbind"}.intersection(mount.get("options") or []))


def _make_parent_private(path):
    """pivot_root(2) refuses a root whose parent mount is shared."""
    above = [
        point
        for point, words in mounts.points()
        if any(word.startswith(b"shared:") for word in words[6:]) and (path + "/").startswith(point.rstrip("/") + "/")
    ]
    if above:
        syscalls.mount(None, max(above, key=len), None, syscalls.MS_PRIVATE)
