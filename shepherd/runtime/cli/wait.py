"""`shepherd-runtime wait CONTAINER…`: wait until containers end, and print their exit codes."""

from shepherd.runtime.cli import several
from shepherd.runtime.containers import launch, recovery
from shepherd.runtime.containers import record as records

HELP = "wait until containers end, and print their exit codes"


def run(arguments: list) -> int:
    """One line each."""
    options = several.parse(arguments, {}, "wait CONTAINER…")
    return several.each(options.rest, _wait, str)


def _wait(record):
    while True:
        recovery.look_after(record)
        connection = launch.connect(record)
        if connection is None:
            break
        code = connection.ended(final=False)
        connection.close()
        if code is not None:
            return code
        if not records.look(record.folders, record.id):
            break
    return record.state()["ExitCode"]
