"""`shepherd-runtime port CONTAINER [PORT[/PROTOCOL]]`: where a container's ports are published."""

import sys

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery, shown
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "show where a container's ports are published"


def run(arguments: list) -> int:
    """A line each."""
    options = several.parse(arguments, {}, "port CONTAINER [PORT[/PROTOCOL]]", 1, 2)
    record = records.find(Folders(), options.rest[0])
    recovery.look_after(record)
    wanted = options.rest[1] if len(options.rest) > 1 else None
    if wanted is not None and "/" not in wanted:
        wanted += "/tcp"
    lines = []
    for one in shown.connections(record, record.state())["ports"]:
        name = "%d/%s" % (one["container"], one["protocol"])
        address = "[%s]" % one["address"] if ":" in one["address"] else one["address"]
        place = "%s:%d" % (address, one["host"])
        if wanted is None:
            lines.append("%s -> %s" % (name, place))
        elif wanted == name:
            lines.append(place)
    if wanted is not None and not lines:
        raise RuntimeFailure("container %s publishes no port %s" % (record.name, wanted))
    sys.stdout.write("".join(line + "\n" for line in lines))
    return 0
