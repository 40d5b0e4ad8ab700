"""`shepherd-runtime rm CONTAINER…`: take containers away."""

import os

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import removal
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "take containers away"
TABLE = {"--force": ("force", bool), "-f": ("force", bool), "--volumes": ("volumes", bool), "-v": ("volumes", bool)}


def run(arguments: list) -> int:
    """With --force one that is not there is no failure."""
    options = several.parse(arguments, TABLE, "rm [--force] [--volumes] CONTAINER…")
    folders = Folders()
    words = options.rest
    if options.force:
        words = [word for word in words if records.look(folders, word) is not None]

    def work(record):
        try:
            removal.remove(record, options.force, options.volumes)
        except RuntimeFailure:
            if not options.force or os.path.exists(record.folder):
                raise  # otherwise somebody else was faster, or it went by itself

    code = several.each(words, work, at_once=True, present=not options.force)
    removal.sweep(folders)
    return code
