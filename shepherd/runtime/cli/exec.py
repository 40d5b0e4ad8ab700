"""`shepherd-runtime exec [OPTIONS] CONTAINER COMMAND…`: another process in a container that runs."""

import os
import sys

from shepherd.runtime.cli import run_options, several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "run another process in a container"
TABLE = {
    "--detach": ("detach", bool), "-d": ("detach", bool), "--env": ("env", list), "-e": ("env", list),
    "--env-file": ("env_file", list), "--interactive": ("interactive", bool), "-i": ("interactive", bool),
    "--tty": ("tty", bool), "-t": ("tty", bool), "--user": ("user", str), "-u": ("user", str),
    "--workdir": ("workdir", str), "-w": ("workdir", str), "--privileged": ("privileged", bool),
    "--detach-keys": ("keys", str),
}  # fmt: skip


def run(arguments: list) -> int:
    """The exit code is the command's; 126 and 127 where it cannot be executed or is not there."""
    options = several.parse(arguments, TABLE, "exec [OPTIONS] CONTAINER COMMAND…", 2, None, until_first=True)
    record = records.find(Folders(), options.rest[0])
    recovery.look_after(record)
    status = record.state()["Status"]
    if status != "running":
        raise RuntimeFailure("container %s is not running: it is %s" % (record.name, status))
    from shepherd.runtime.containers import events, executing, starting

    env = run_options.environment(options.env, options.env_file)
    if options.tty and options.detach:
        raise RuntimeFailure("--detach and --tty exclude one another")
    made = executing.process(
        record, options.rest[1:], env, options.user, options.workdir, options.tty, options.privileged
    )
    events.write(record, "exec_start: " + " ".join(options.rest[1:]))
    request = executing.request(record, made)
    if options.detach or not options.interactive:
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2) if options.detach else (0,) * (not options.tty):
            os.dup2(null, number)
    from shepherd.runtime.bundle import execute

    saved = os.dup(2) if not options.detach else None
    try:
        return execute.run(request, options.detach)
    except RuntimeFailure as error:
        if saved is None:
            return starting.code_of(error.message)
        os.dup2(saved, 2)
        sys.stderr.write("shepherd-runtime: %s\n" % error.message)
        return starting.code_of(error.message)
