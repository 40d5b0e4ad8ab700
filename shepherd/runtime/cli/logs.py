"""`shepherd-runtime logs CONTAINER`: what a container said."""

import os

from shepherd.runtime.cli import several
from shepherd.runtime.containers import clock, launch, logs, recovery
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "show what a container said"
TABLE = {
    "--details": ("details", bool), "--follow": ("follow", bool), "-f": ("follow", bool), "--since": ("since", str),
    "--until": ("until", str), "--tail": ("tail", str), "-n": ("tail", str), "--timestamps": ("timestamps", bool),
    "-t": ("timestamps", bool),
}  # fmt: skip


def run(arguments: list) -> int:
    """Its output on ours, its errors on ours."""
    options = several.parse(arguments, TABLE, "logs [OPTIONS] CONTAINER", 1, 1)
    record = records.find(Folders(), options.rest[0])
    if (record.host.get("LogConfig") or {}).get("Type") == "none":
        raise RuntimeFailure("container %s keeps no log (--log-driver none)" % record.name)
    tail = None
    if options.tail not in (None, "all", "-1"):
        if not options.tail.isdigit():
            raise RuntimeFailure("--tail: should be a number or all, and is %.40r" % options.tail)
        tail = int(options.tail)
    since = clock.moment(options.since, "--since") if options.since else None
    until = clock.moment(options.until, "--until") if options.until else None
    recovery.look_after(record)
    connection = launch.connect(record) if options.follow else None
    if connection is not None:
        connection.say(b"f")
    reader = logs.Reader(record.log_path, tail)
    try:
        while True:
            if not _print(reader, since, until, options.timestamps):
                return 0
            if connection is None:
                return 0
            packet = connection.hear()
            if not packet:
                connection = None  # its monitor has ended: what it wrote last is still to be read
    except BrokenPipeError:
        return 0
    finally:
        reader.close()


def _print(reader, since, until, stamps):
    """What there is now; False where nothing more is wanted."""
    waiting = {1: [], 2: []}
    last = None
    for entry in reader.entries():
        if since is not None and entry.seconds < since:
            continue
        if until is not None and entry.seconds > until:
            _flush(waiting, last)
            return False
        number = 2 if entry.stream == "stderr" else 1
        if last is not None and number != last:
            _flush(waiting, last)
        last = number
        waiting[number].append((entry.time + " " + entry.text) if stamps else entry.text)
        if len(waiting[number]) > 500:
            _flush(waiting, number)
    _flush(waiting, last)
    return True


def _flush(waiting, number):
    if number is None:
        return
    data = "".join(waiting[number]).encode("utf-8", "surrogateescape")
    waiting[number].clear()
    while data:
        data = data[os.write(number, data) :]
