"""Where one more process of a container goes, if not to the top of its control group: `exec --cgroup`, runc-exec(8)."""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.cgroups import folders
from shepherd.runtime.linux.cgroups.group import Group


class Inner(Group):
    """In each hierarchy the container's group, or one that is there below it.

    `places` are words as in "path" and "controller,controller:path". Raises RuntimeFailure for what is not there.
    """

    def __init__(self, outer: Group, places: list):
        Group.__init__(self, outer.path, outer.found)
        if not self.found:
            raise RuntimeFailure("--cgroup: the container has no control group of its own")
        everywhere, chosen = _read(places, [names for _target, kind, names in self.found if kind == "cgroup"])
        self._known = []
        for target, kind, names in self.found:
            top = os.path.join(target, self.path)
            inner = next((chosen[name] for name in names if name in chosen), everywhere)
            # version 2 has no controllers where version 1 is, too: who makes groups there leaves it out
            lacking = kind == "cgroup2" and len(self.found) > 1 and not os.path.isdir(os.path.join(top, inner))
            self._known.append(_checked(top if lacking else os.path.join(top, inner), names))

    @property
    def unified(self):
        """Its folder in version 2; None where there is no version 2."""
        return next((path for path, one in zip(self._known, self.found) if one[1] == "cgroup2"), None)


def _read(places, hierarchies):
    """What holds everywhere, and by controller; `hierarchies` are the controllers of each hierarchy of version 1."""
    everywhere, chosen = "", {}
    for place in places:
        names, colon, path = place.rpartition(":")
        path = path.strip("/")
        if ".." in path.split("/"):
            raise RuntimeFailure("--cgroup: %.60r leads out of the container's control group" % place)
        if not colon:
            everywhere = path
            continue
        for name in names.split(","):
            own = name if any(name in controllers for controllers in hierarchies) else "name=" + name
            if not any(own in controllers for controllers in hierarchies):
                raise RuntimeFailure(
                    "--cgroup: version 1 of control groups has no controller %.40r here" % name,
                    "a path alone is one below the container's group, of every controller",
                )
            chosen[own] = path
    return everywhere, chosen


def _checked(folder, names):
    if not os.path.isdir(folder):
        raise RuntimeFailure("--cgroup: there is no control group %s" % folder)
    if "cpuset" in names and not all(folders.read(folder, name).strip() for name in ("cpuset.cpus", "cpuset.mems")):
        raise RuntimeFailure(
            "--cgroup: the control group %s has no processors or no memory" % folder,
            "write to its cpuset.cpus and cpuset.mems which, or give it clone_children",
        )
    return folder
