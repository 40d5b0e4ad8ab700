"""Control groups: what a container may use of the machine, and how its processes are found, stopped and counted.

cgroups(7); Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst. A machine has version 1, version 2 or both (hybrid);
a group is named by its path below each hierarchy. What is imported here is what every container needs; limits, device
rules, figures and systemd are imported where they are used.
"""

from shepherd.runtime.linux.cgroups.folders import hierarchies, join, mounts, remove
from shepherd.runtime.linux.cgroups.group import TOP, Group

__all__ = ["TOP", "Group", "hierarchies", "join", "mounts", "remove"]
