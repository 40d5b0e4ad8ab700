"""What a process is shown as (/proc/PID/cmdline), and that its first environment is not shown any more."""

from shepherd.runtime.linux import foreign

_ARGUMENTS, _ENVIRONMENT = 47, 49  # of /proc/PID/stat, counted from 0: arg_start, arg_end; env_start, env_end (proc(5))


def set_title(text: str) -> None:
    """Write `text`, as far as there is room, over the words that this process was started with, and nothing over its
    environment, whose secrets would be read in /proc/PID/environ for as long as it lives. os.environ stays as it is."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = [int(one) for one in file.read().rpartition(b")")[2].split()[1:]]
    except (OSError, ValueError):
        return
    places = [fields[number - 3 : number - 1] for number in (_ARGUMENTS, _ENVIRONMENT)]
    if not all(len(place) == 2 and 0 < place[0] < place[1] for place in places):
        return
    for (first, last), data in zip(places, (text.encode("utf-8", "replace"), b"")):
        room = last - first
        data = data[: room - 1].ljust(room, b"\0")
        foreign.libc.memcpy(foreign.c_ulong(first), data, foreign.c_ulong(room))
