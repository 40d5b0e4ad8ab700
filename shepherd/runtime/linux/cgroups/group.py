"""The control group of one container, in all hierarchies at once."""

import errno
import os
import time

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.cgroups import folders

TOP = "shepherd"  # the group that the runtime's own containers have theirs in
_SIGKILL = 9
_PATIENCE = 10.0  # seconds for the kernel to end or to stop processes


class Group:
    """A group at a path below each hierarchy. `found` are the hierarchies, those of this machine if not given."""

    unit = None  # of systemd's, for those that it makes

    def __init__(self, path: str, found=None):
        self.path = path
        self._found = found

    @property
    def found(self) -> list:
        """The hierarchies: (mount point, kind, controllers of version 1)."""
        if self._found is None:
            self._found = folders.hierarchies()
        return self._found

    def _folders(self):
        if self._known is None:
            self._known = [os.path.join(target, self.path) for target, _kind, _names in self.found]
        return self._known

    _known = None

    def home(self, controller: str):
        """(version, folder) of where version 1 has this controller, or else version 2; None where neither has."""
        unified = None
        for target, kind, names in self.found:
            if controller in names:
                return 1, os.path.join(target, self.path)
            if kind == "cgroup2":
                unified = target
        if unified is None:
            return None
        name = {"blkio": "io", "cpuacct": "cpu"}.get(controller, controller)
        always = name in ("freezer", "devices")  # a part of every group, and a program attached to one
        if not always and name not in folders.read(unified, "cgroup.controllers").split():
            return None
        return 2, os.path.join(unified, self.path)

    @property
    def unified(self):
        """Its folder in version 2; None where there is no version 2."""
        for target, kind, _names in self.found:
            if kind == "cgroup2":
                return os.path.join(target, self.path)
        return None

    # Making and removing

    def check_free(self) -> None:
        """Raise RuntimeFailure where others are in it already, or where it is frozen.

        They would get the limits of the new container, and end with it.
        """
        if not self.path:
            raise RuntimeFailure("/linux/cgroupsPath: is the group of the whole machine", "name one below it")
        if not any(os.access(folder, os.F_OK) for folder in self._folders()):
            return
        pids = self.processes()
        if pids:
            raise RuntimeFailure(
                "/linux/cgroupsPath: the control group /%s is in use, by process %d" % (self.path, pids[0]),
                "take another one, or leave it out",
            )
        if self.is_frozen():
            raise RuntimeFailure("/linux/cgroupsPath: the control group /%s is frozen" % self.path)

    def make(self) -> bool:
        """Make it where it is missing; whether it was missing everywhere."""
        missing = [self._make(hierarchy) for hierarchy in self.found]  # all of them, before all() stops
        return all(missing)

    def _make(self, hierarchy):
        return hierarchy[0] == self._cradle or folders.make(hierarchy, self.path)

    _cradle = None  # where version 2 is mounted, if we have made the group there

    def make_cradle(self):
        """Make it in version 2 alone, for a process to be born there: a descriptor, None where there is no version 2.

        Raises OSError.
        """
        for hierarchy in self.found:
            if hierarchy[1] == "cgroup2":
                if folders.make(hierarchy, self.path):
                    self._cradle = hierarchy[0]
                return self.cradle()
        return None

    def cradle(self):
        """Where in version 2 one more process of it can be born: a descriptor; None where there is no such place."""
        try:
            return os.open(self.unified, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if self.unified else None
        except OSError:
            return None

    def enter(self, pid: int, resources: dict, born: bool = False) -> list:
        """Make it, set the limits of /linux/resources, and let a new container's first process in: as `admit`.

        Raises OSError where it cannot be made, RuntimeFailure with a JSON pointer for a limit that cannot be set.
        """
        new = self.make()
        self._limit(resources, None)
        self._filter_devices(resources, not new)
        return self.admit(pid, born)

    def admit(self, pid: int, born: bool = False, beside=None) -> list:
        """Let a process in: the files by which it goes into the groups of version 1 by itself (moves.go).

        Into that of version 2 it is moved, unless it was `born` there. Where what runs inside has made groups of its
        own below it and version 2 takes no process in the one above those, the process comes to where the process
        `beside` is. Raises OSError.
        """
        doors = []
        for folder, (_target, kind, _names) in zip(self._folders(), self.found):
            if kind == "cgroup":
                doors.append(os.path.join(folder, folders.ENTRANCES[kind]))
            elif not born:
                self._move(folder, pid, beside)
        return doors

    def _move(self, folder, pid, beside):
        try:
            folders.write(os.path.join(folder, "cgroup.procs"), "%d" % pid)
        except OSError as error:
            if not beside or error.errno not in (errno.EBUSY, errno.EOPNOTSUPP):
                raise
            folders.write(os.path.join(self._below(folder, beside), "cgroup.procs"), "%d" % pid)

    def _below(self, folder, pid):
        """The folder of the group, below ours, in which a process of the container is."""
        for line in folders.read("/proc/%d/cgroup" % pid).splitlines():
            if line.startswith("0::"):
                path = line[3:].strip("/")
                if (path + "/").startswith(self.path + "/"):
                    return folder + path[len(self.path) :]
        return folder

    def give(self, uid: int) -> None:
        """Let this user of the machine rule its part of version 2 (config-linux.md, "Cgroup ownership")."""
        if self.unified is None:
            return
        try:
            names = folders.read("/sys/kernel/cgroup/delegate").split()
        except OSError:
            names = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
        for name in ["", *names]:
            try:
                os.chown(os.path.join(self.unified, name), uid, -1)
            except FileNotFoundError:
                pass

    def remove(self) -> None:
        """End what is in it and take it away, with all groups below it. Raises RuntimeFailure where that fails."""
        left = False
        for folder in self._folders():
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                if not left:
                    self.end()
                left = True
        ours = [path for path in folders.parents(self.path) if "shepherd" in path.split("/")]
        # the one above all of ours stays: to make it again would take as long as all else of a container's groups
        ours = [path for path in ours if path != TOP]
        if not (left or ours):
            return
        try:
            folders.remove(self.path, _PATIENCE, self.found, ours)
        except OSError as error:
            raise RuntimeFailure("cannot remove the control group /%s: %s" % (self.path, error.strerror)) from None

    # Limits

    def apply(self, resources: dict, kept: dict) -> None:
        """Change limits: what an object as /linux/resources says. Raises RuntimeFailure with a JSON pointer.

        `kept` is what holds afterwards, with what was set before. Where a part of the change fails, all is as it was.
        """
        self._limit(resources, kept)
        if resources.get("devices") is not None:
            self._filter_devices(resources, True)

    def _limit(self, resources, kept):
        if any(value for name, value in resources.items() if name != "devices"):
            from shepherd.runtime.linux.cgroups import limits

            limits.apply(self, resources, kept)

    def _filter_devices(self, resources, again):
        from shepherd.runtime.linux.cgroups import devices

        devices.apply(self, resources.get("devices") or [], again)

    # Processes

    def processes(self) -> list:
        """The pids of all in it and below it."""
        found = set()
        for folder in self._folders():
            for inner, _folders, _files in os.walk(folder):
                try:
                    found.update(int(line) for line in folders.read(inner, "cgroup.procs").split())
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

    def end(self) -> None:
        """End all of them, also those that are frozen, and those that start others faster than one can count.

        Raises RuntimeFailure where one is left.
        """
        from shepherd.runtime.linux.cgroups import freezer

        deadline = time.monotonic() + _PATIENCE
        while True:
            freezer.request(self)  # what is stopped starts nothing
            self._kill_at_once()
            self.kill(_SIGKILL)
            freezer.release(self)  # a frozen process of version 1 ends when it goes on
            left = self.processes()
            if not left:
                return
            if time.monotonic() > deadline:
                raise RuntimeFailure("process %d in the control group /%s does not end" % (left[0], self.path))
            time.sleep(0.001)

    def _kill_at_once(self):
        """cgroup.kill of version 2, since Linux 5.14."""
        if self.unified is not None:
            try:
                folders.write(os.path.join(self.unified, "cgroup.kill"), "1")
            except OSError:
                pass  # one by one, then

    def freeze(self) -> None:
        """Stop its processes, and return when they have stopped. Raises RuntimeFailure."""
        from shepherd.runtime.linux.cgroups import freezer

        freezer.freeze(self, _PATIENCE)

    def thaw(self) -> None:
        """Let them go on."""
        from shepherd.runtime.linux.cgroups import freezer

        freezer.thaw(self)

    def is_frozen(self) -> bool:
        """Whether they are stopped."""
        from shepherd.runtime.linux.cgroups import freezer

        return freezer.is_frozen(self)

    # Figures

    def stats(self) -> dict:
        """What it uses: the object that `events --stats` shows as data, with the fields that runc documents."""
        from shepherd.runtime.linux.cgroups import stats

        return stats.read(self)

    def oom_kills(self) -> int:
        """How many processes, in it and below it, the kernel has ended because memory ran out."""
        from shepherd.runtime.linux.cgroups import stats

        return stats.oom_kills(self)
