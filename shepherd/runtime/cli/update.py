"""`shepherd-runtime update [OPTIONS] CONTAINER…`: other limits, and another restart policy."""

from shepherd.runtime.cli import run_options, several
from shepherd.runtime.containers import events, launch, policy, recovery, specification
from shepherd.runtime.errors import RuntimeFailure

HELP = "change limits and restart policies of containers"
_NAMES = (
    "--blkio-weight --cpu-period --cpu-quota --cpu-shares -c --cpus --cpuset-cpus --cpuset-mems --memory -m".split()
)
_NAMES += "--memory-reservation --memory-swap --pids-limit --restart".split()
TABLE = {name: run_options.TABLE[name] for name in _NAMES}


def run(arguments: list) -> int:
    """Of those that run at once, of all for their next start."""
    options = several.parse(arguments, TABLE, "update [OPTIONS] CONTAINER…")
    changed = {field: value for field, value in run_options.limits(options).items() if value is not None}
    restart = policy.parse(options.restart) if options.restart else None
    if not changed and restart is None:
        raise RuntimeFailure("update: nothing was said to change", "--memory, --cpus, --pids-limit, --restart, …")

    def work(record):
        from shepherd.runtime.bundle import lifecycle

        with record:
            recovery.recover(record)
            if restart is not None and restart["Name"] != "no" and record.host.get("AutoRemove"):
                raise RuntimeFailure("--restart is not for a container with --rm")
            if changed and record.state()["Status"] == "running":
                lifecycle.update(record.folders.started, record.id, specification.resources(changed))
            record.host.update(changed)
            if restart is not None:
                record.host["RestartPolicy"] = restart
            record.save()
            connection = launch.connect(record)
            if connection is not None:
                connection.say(b"u")
                connection.close()
        events.write(record, "update")

    return several.each(options.rest, work)
