"""`shepherd-runtime pause CONTAINER…`: stop all processes of containers where they are."""

from shepherd.runtime.cli import several
from shepherd.runtime.containers import events, recovery
from shepherd.runtime.errors import RuntimeFailure

HELP = "stop all processes of containers where they are"


def run(arguments: list) -> int:
    """Until `unpause`."""
    options = several.parse(arguments, {}, "pause CONTAINER…")
    return several.each(options.rest, lambda record: change(record, True))


def change(record, pause: bool) -> None:
    """Pause it, or let it go on. Raises RuntimeFailure."""
    from shepherd.runtime.bundle import lifecycle

    recovery.look_after(record)
    if record.state()["Status"] != "running":
        raise RuntimeFailure("container %s is not running" % record.name)
    (lifecycle.pause if pause else lifecycle.resume)(record.folders.started, record.id)
    events.write(record, "pause" if pause else "unpause")
