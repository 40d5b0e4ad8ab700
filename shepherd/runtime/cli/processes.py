"""A table of processes, as this machine numbers them: what `ps -ef` shows, or what ps shows with other options."""

import os
import re
import sys
import time

from shepherd.runtime.errors import RuntimeFailure

_FORM = "%-10s %-8s %-8s %-3s %-6s %-6s %-9s %s\n"


def show(pids, options: list = ()) -> None:
    """Users are numbers: their names are the image's. With `options` it is this machine's ps that is asked."""
    if options:
        _asked(set(pids), list(options))
        return
    sys.stdout.write(_FORM % ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"))
    for pid in sorted(set(pids)):
        line = _line(pid)
        if line is not None:
            sys.stdout.write(_FORM % line)


def _asked(pids, options):
    import subprocess

    try:
        done = subprocess.run(["ps"] + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise RuntimeFailure("cannot ask ps: %s" % error.strerror, "without options it is not needed")
    if done.returncode:
        raise RuntimeFailure("ps: %s" % done.stderr.decode("utf-8", "replace").strip()[:500])
    head, *lines = done.stdout.decode("utf-8", "replace").splitlines()
    column = re.search(r"(^|\s)PID(\s|$)", head)
    if column is None:
        raise RuntimeFailure("ps shows no PID with these options, by which those of the container are known")
    end = column.end() - len(column.group(2))  # where numbers end, too
    kept = [line for line in lines if line[:end].split()[-1:] and line[:end].split()[-1] in map(str, pids)]
    sys.stdout.write("".join(line + "\n" for line in [head] + kept))


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
