"""Control groups as a container sees them: a mount for each hierarchy, laid out as on this machine.

Their places are made early, and they are mounted when the process is in its group: before, another would be the root.
"""

import os

from shepherd.runtime.bundle import trees
from shepherd.runtime.linux import cgroups, mounts, paths, syscalls
from shepherd.runtime.linux.paths import shown


class ShownGroups:
    """For a mount of the type cgroup. `number` is which of the table it is, `chosen` its options.

    `found` are the hierarchies, where they are known.
    """

    def __init__(self, number: int, target: str, chosen, found=None):
        self.number = number
        self.target = target
        self._chosen = chosen
        self._found = found
        self._places = []  # (hierarchy, descriptor)

    def make_places(self, root: int, top: int, hidden: str) -> None:
        """`top` is the descriptor of the target; what the machine has mounted below `hidden` is left out."""
        found = [one for one in self._found or cgroups.hierarchies() if not one[0].startswith(hidden)]
        if [kind for _path, kind, _names in found] == ["cgroup2"]:
            if os.fstat(top).st_dev == os.stat(found[0][0]).st_dev:
                # it came with the machine's /sys, and where it is mounted it cannot be mounted again (EBUSY): cover it
                syscalls.mount("tmpfs", shown(top), "tmpfs", mounts.SHUT | syscalls.MS_RDONLY, "size=4k")
            self._places = [(found[0], os.dup(top))]
            return
        flags = self._chosen.flags
        syscalls.mount("tmpfs", shown(top), "tmpfs", flags & ~syscalls.MS_RDONLY, "mode=755")
        above = paths.make_folder(root, self.target)  # the same, now that something is mounted there: nobody else's
        try:
            for one in found:
                name = os.path.basename(one[0])
                try:
                    os.mkdir(name, 0o755, dir_fd=above)
                except FileExistsError:
                    pass  # mounted twice on this machine
                self._places.append((one, os.open(name, _FOLDER, dir_fd=above)))
            for path, _kind, names in found:
                for name in names if len(names) > 1 else []:  # cpu -> cpu,cpuacct, as distributions have it
                    if name != os.path.basename(path) and not name.startswith("name="):
                        try:
                            os.symlink(os.path.basename(path), name, dir_fd=above)
                        except FileExistsError:
                            pass
        finally:
            os.close(above)
        if flags & syscalls.MS_RDONLY:
            trees.change(root, self.target, syscalls.MOUNT_ATTR_RDONLY)

    def mount(self, own, group: str, mounter, about: str) -> None:
        """Now. `own` are the kinds of the container's new namespaces, `group` is the path of its group.

        `mounter` is as rootfs.mount_here, and does it as the container's process. Raises OSError.
        """
        try:
            if "cgroup" in own:
                mounter([self._new(hierarchy, place) for hierarchy, place in self._places], about)
            else:
                for hierarchy, place in self._places:
                    self._show(hierarchy[0], place, group)
        finally:
            self.close()

    def close(self) -> None:
        """Without their places."""
        while self._places:
            os.close(self._places.pop()[1])

    def _new(self, hierarchy, place):
        """The mount of one of them, whose root is the container's group for a process in a namespace of them."""
        _path, kind, names = hierarchy
        data = None
        if kind == "cgroup":
            named = any(name.startswith("name=") for name in names)
            data = ",".join((["none"] if named else []) + names + (["xattr"] if named else []))
        return kind, place, kind, self._chosen.flags, data

    def _show(self, path, place, group):
        """Without a namespace of them: a part of the machine's, the container's own."""
        source = os.path.join(path, group)
        tree = trees.clone_source({"source": source if os.path.isdir(source) else path}, self._chosen)
        if tree is not None:
            syscalls.move_mount(tree, place)
            os.close(tree)
        else:  # before Linux 5.12; below a read-only tmpfs
            syscalls.mount(source, shown(place), None, syscalls.MS_BIND)


_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
