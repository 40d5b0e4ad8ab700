"""`shepherd-runtime unpause CONTAINER…`: let paused containers go on."""

from shepherd.runtime.cli import several
from shepherd.runtime.cli.pause import change

HELP = "let paused containers go on"


def run(arguments: list) -> int:
    """One line each."""
    options = several.parse(arguments, {}, "unpause CONTAINER…")
    return several.each(options.rest, lambda record: change(record, False))
