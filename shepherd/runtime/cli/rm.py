"""`shepherd-runtime rm CONTAINER…`: take containers away."""

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import removal
from shepherd.runtime.containers.folders import Folders

HELP = "take containers away"
TABLE = {"--force": ("force", bool), "-f": ("force", bool), "--volumes": ("volumes", bool), "-v": ("volumes", bool)}


def run(arguments: list) -> int:
    """With --force one that is not there is no failure."""
    options = several.parse(arguments, TABLE, "rm [--force] [--volumes] CONTAINER…")
    words = options.rest
    folders = Folders()
    if options.force:
        words = [word for word in words if records.look(folders, word) is not None]
    code = several.each(words, lambda record: removal.remove(record, options.force, options.volumes), at_once=True)
    removal.sweep(folders)
    return code
