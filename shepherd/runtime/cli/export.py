"""`shepherd-runtime export [-o FILE] CONTAINER`: all files of a container as a tar, without its volumes."""

import os
import sys

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import root
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files

HELP = "write all files of a container as a tar"
TABLE = {"--output": ("output", str), "-o": ("output", str)}


def run(arguments: list) -> int:
    """On standard output where no file is named."""
    options = several.parse(arguments, TABLE, "export [-o FILE] CONTAINER", 1, 1)
    record = records.find(Folders(), options.rest[0])
    if options.output is None and sys.stdout.isatty():
        raise RuntimeFailure("standard output is a terminal", "-o FILE, or a pipe")
    from shepherd.runtime.images import diff

    part = options.output + ".part" if options.output else None
    try:
        with open(part or os.dup(1), "wb") as out:
            running = record.folders.running(record.id)
            place = os.path.join(running, "root")
            files.make_folder(place)
            root.own_mounts()
            root.mount_view(record, place)
            diff.write_tree(os.path.join(place, "root"), out)
        if part:
            os.rename(part, options.output)
    except BaseException:
        if part and os.path.exists(part):
            os.unlink(part)
        raise
    return 0
