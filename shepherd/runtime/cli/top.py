"""`shepherd-runtime top CONTAINER [OPTIONS OF ps]`: the processes of a container, as this machine numbers them."""

import os

from shepherd.runtime.cli import processes, several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "show the processes of a container"


def run(arguments: list) -> int:
    """The verb."""
    options = several.parse(arguments, {}, "top CONTAINER [OPTIONS OF ps]", 1, None, until_first=True)
    record = records.find(Folders(), options.rest[0])
    recovery.look_after(record)
    if record.state()["Status"] != "running":
        raise RuntimeFailure("container %s is not running" % record.name)
    from shepherd.runtime.linux import cgroups

    inside = cgroups.Group(record.group).processes() if record.is_grouped else _in_namespace(record.state()["Pid"])
    processes.show(inside, options.rest[1:])
    return 0


def _in_namespace(first):
    """The pids of those that are in the process namespace of process `first`."""
    found = {first}
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.path.samefile("/proc/%s/ns/pid" % name, "/proc/%d/ns/pid" % first):
                found.add(int(name))
        except OSError:
            continue  # it has ended, or is another's
    return found
