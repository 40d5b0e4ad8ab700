"""`ps [--format table|json] ID`: the processes of a container, as this machine numbers them."""

import sys
import time

from shepherd.runtime.bundle import document, groups, state
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

TABLE = {"--format": ("format", str), "-f": ("format", str)}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "ps [--format table|json] ID", 1)
    if found.format not in (None, "table", "json"):
        raise RuntimeFailure("--format: should be table or json")
    container = state.find(oci.root(chosen), found.rest[0])
    pids = sorted(set(groups.of(container.record).processes()))
    if found.format == "json":
        sys.stdout.write(document.dumps(pids) + "\n")
        return 0
    sys.stdout.write("%-8s %7s %7s %8s %s\n" % ("UID", "PID", "PPID", "TIME", "CMD"))
    for pid in pids:
        line = _line(pid)
        if line:
            sys.stdout.write(line + "\n")
    return 0


def _line(pid):
    """proc(5): stat, status, cmdline."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            head, _, rest = file.read().rpartition(")")
        with open("/proc/%d/status" % pid) as file:
            user = next(line.split()[1] for line in file if line.startswith("Uid:"))
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            command = file.read().replace(b"\0", b" ").strip().decode("utf-8", "backslashreplace")
    except (OSError, StopIteration):
        return None  # it has ended
    import os

    fields = rest.split()
    seconds = (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK")
    name = command or "[%s]" % head.partition("(")[2]
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return "%-8s %7d %7s %8s %s" % (user, pid, fields[1], time.strftime("%H:%M:%S", time.gmtime(seconds)), shown)
