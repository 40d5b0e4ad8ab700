"""`shepherd-runtime restart CONTAINER…`: end containers, and start them."""

from shepherd.runtime.cli import several, stop
from shepherd.runtime.containers import events, launch, signals, stopping

HELP = "end containers, and start them"


def run(arguments: list) -> int:
    """Also those that do not run."""
    options = several.parse(arguments, stop.TABLE, "restart [-t SECONDS] [-s SIGNAL] CONTAINER…")
    number = signals.parse(options.signal) if options.signal else None

    launch.warm()

    def work(record):
        stopping.stop(record, number, options.time)
        connection = launch.begin(record)
        if connection is not None:
            connection.close()
        events.write(record, "restart")

    return several.each(options.rest, work)
