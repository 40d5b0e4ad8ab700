"""Control groups of a container, in every hierarchy that this machine has: version 1, version 2, or both (hybrid).

cgroups(7); Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst. A group is named by its path below each hierarchy.
"""

import os
import time

from shepherd.runtime.linux.mounts import SHUT, Mount

BASE = "/sys/fs/cgroup"


def hierarchies() -> list:
    """What is mounted: a list of (mount point, kind, options), options being the controllers of version 1."""
    found = []
    with open("/proc/self/mounts") as file:
        for line in file:
            _source, target, kind, options = line.split()[:4]
            if kind == "cgroup2":
                found.append((target, kind, []))
            elif kind == "cgroup":
                found.append((target, kind, [word for word in options.split(",") if word not in _GENERIC]))
    return found


_GENERIC = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "xattr", "clone_children", "noprefix"}


def join(path: str) -> None:
    """Make the group where it is missing, and move this process into it."""
    for target, kind, names in hierarchies():
        group = os.path.join(target, path)
        os.makedirs(group, exist_ok=True)
        if "cpuset" in names:
            _share_processors(target, path)
        with open(os.path.join(group, "cgroup.procs"), "w") as file:
            file.write("0")
        if kind == "cgroup2":
            _delegate(target, path)


def expect_moves() -> None:
    """Make the next move of a process between groups, soon after this, take a tenth of a millisecond and not seven.

    The kernel lets a grace period of RCU pass before the first one and is ready for more for some time after
    (percpu_rw_semaphore, cgroup_threadgroup_rwsem). This lets it pass while there are other things to do: a thread,
    which only waits in the kernel, moves this process to the group where it is. What fails is left to the real move.
    """
    try:
        with open("/proc/self/cgroup") as file:
            number, names, path = file.readline().rstrip("\n").split(":", 2)
        for target, kind, controllers in hierarchies():
            if kind == "cgroup2" if number == "0" else set(names.split(",")) <= set(controllers):
                import _thread

                place = os.open(target + path.rstrip("/") + "/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
                _thread.start_new_thread(_move_to_where_it_is, (place,))
                return
    except (OSError, ValueError):
        pass


def _move_to_where_it_is(place):
    try:
        os.write(place, b"0")
    except OSError:
        pass
    finally:
        os.close(place)


def _share_processors(target, path):
    """A group of version 1's cpuset takes no process before it has processors and memory nodes: those of its parent."""
    above = ""
    for part in _parents(path) + [path]:
        for name in ("cpuset.cpus", "cpuset.mems"):
            with open(os.path.join(target, above, name)) as file:
                inherited = file.read()
            with open(os.path.join(target, part, name), "w") as file:
                file.write(inherited)
        above = part


def _delegate(target, path):
    """Hand the controllers of version 2 down to the group; a group on the way that has processes cannot."""
    with open(os.path.join(target, "cgroup.controllers")) as file:
        wanted = " ".join("+" + name for name in file.read().split())
    for part in [""] + _parents(path):
        try:
            with open(os.path.join(target, part, "cgroup.subtree_control"), "w") as file:
                file.write(wanted)
        except OSError:
            return


def _parents(path):
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def mounts() -> list:
    """The mounts that show a container its own group as the root, laid out as they are on this machine."""
    found = hierarchies()
    if [kind for _target, kind, _names in found] == ["cgroup2"]:
        return [Mount(BASE, "cgroup2", SHUT)]
    table = [Mount(BASE, "tmpfs", SHUT, "mode=755")]
    for target, kind, names in found:
        if kind == "cgroup":
            named = any(name.startswith("name=") for name in names)
            options = ",".join((["none"] if named else []) + names + (["xattr"] if named else []))
            table.append(Mount(os.path.join(BASE, os.path.basename(target)), "cgroup", SHUT, options))
    return table


def remove(path: str, timeout: float = 5.0) -> None:
    """Take the group away with those below it, and its parents where they are empty. Its processes have ended."""
    deadline = time.monotonic() + timeout
    for target, _kind, _names in hierarchies():
        for folder, _folders, _files in os.walk(os.path.join(target, path), topdown=False):
            _remove_folder(folder, deadline)
        for parent in reversed(_parents(path)):
            try:
                os.rmdir(os.path.join(target, parent))
            except OSError:
                break  # absent, or others use it


def _remove_folder(folder, deadline):
    """The kernel lets go of a group a moment after its last process has ended."""
    while True:
        try:
            return os.rmdir(folder)
        except FileNotFoundError:
            return None
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


class Group:
    """The group of one container, at a path below each hierarchy."""

    def __init__(self, path: str):
        self.path = path

    def _folders(self):
        return [os.path.join(target, self.path) for target, _kind, _names in hierarchies()]

    def make(self) -> None:
        """Make it where it is missing."""
        for target, kind, names in hierarchies():
            folder = os.path.join(target, self.path)
            try:
                os.mkdir(folder)
            except FileExistsError:
                continue
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)
            if "cpuset" in names:
                _share_processors(target, self.path)
            if kind == "cgroup2":
                _delegate(target, self.path)

    def add(self, pid: int) -> None:
        """Move a process into it."""
        for folder in self._folders():
            descriptor = os.open(os.path.join(folder, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, b"%d" % pid)
            finally:
                os.close(descriptor)

    def apply(self, resources: dict) -> None:
        """Set limits: pids and memory for now."""
        limit = (resources.get("pids") or {}).get("limit")
        if limit is not None:
            self._set("pids", "pids.max", "max" if limit <= 0 else str(limit))
        limit = (resources.get("memory") or {}).get("limit")
        if limit is not None:
            self._set("memory", "memory.limit_in_bytes", str(limit))

    def _set(self, controller, name, value):
        for target, _kind, names in hierarchies():
            if controller in names:
                with open(os.path.join(target, self.path, name), "w") as file:
                    file.write(value)

    def freeze(self) -> None:
        """Stop its processes."""
        self._set("freezer", "freezer.state", "FROZEN")

    def thaw(self) -> None:
        """Let them go on."""
        self._set("freezer", "freezer.state", "THAWED")

    def processes(self) -> list:
        """The pids of all in it and below it."""
        found = set()
        for folder in self._folders():
            for inner, _folders, _files in os.walk(folder):
                try:
                    with open(os.path.join(inner, "cgroup.procs")) as file:
                        found.update(int(line) for line in file)
                except OSError:
                    pass
        return sorted(found)

    def kill(self, number: int) -> None:
        """Signal all of them."""
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def stats(self) -> dict:
        """What they use."""
        return {"pids": {"current": len(self.processes())}}

    def remove(self) -> None:
        """Take it away."""
        remove(self.path)
