"""`shepherd-runtime top CONTAINER`: the processes of a container, as this machine numbers them."""

import os
import sys
import time

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "show the processes of a container"
_FORM = "%-10s %-8s %-8s %-3s %-6s %-6s %-9s %s\n"


def run(arguments: list) -> int:
    """As ps -ef, with users by number: their names are the image's."""
    options = several.parse(arguments, {}, "top CONTAINER", 1, None, until_first=True)
    record = records.find(Folders(), options.rest[0])
    recovery.look_after(record)
    if record.state()["Status"] != "running":
        raise RuntimeFailure("container %s is not running" % record.name)
    from shepherd.runtime.linux import cgroups

    sys.stdout.write(_FORM % ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"))
    inside = cgroups.Group(record.group).processes() if record.is_grouped else _in_namespace(record.state()["Pid"])
    for pid in sorted(set(inside)):
        line = _line(pid)
        if line is not None:
            sys.stdout.write(_FORM % line)
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


def _line(pid):
    """proc(5): stat, status, cmdline; None where it has ended."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            head, _, rest = file.read().rpartition(")")
        user = os.stat("/proc/%d" % pid).st_uid
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            command = file.read().replace(b"\0", b" ").strip().decode("utf-8", "backslashreplace")
    except OSError:
        return None
    from shepherd.runtime.cli.image_output import printable

    fields = rest.split()
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) / ticks
    with open("/proc/uptime") as file:
        running = max(0.01, float(file.read().split()[0]) - int(fields[19]) / ticks)
    terminal = int(fields[4])
    name = "pts/%d" % (terminal & 0xFF | terminal >> 12 & 0xFFF00) if terminal >> 8 & 0xFFF == 136 else "?"
    return (
        str(user), str(pid), fields[1], str(int(100 * used / running)),
        time.strftime("%H:%M", time.localtime(time.time() - running)), name,
        time.strftime("%H:%M:%S", time.gmtime(used)), printable(command or "[%s]" % head.partition("(")[2]),
    )  # fmt: skip
