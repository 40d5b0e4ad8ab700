"""`shepherd-runtime inspect NAME…`: all that is known of containers; else of volumes and images of that name."""

import json
import sys

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery, shown
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "show all that is known of containers, images or volumes"
TABLE = {"--format": ("format", str), "-f": ("format", str), "--size": ("size", bool), "-s": ("size", bool),
         "--type": ("type", str)}  # fmt: skip


def run(arguments: list) -> int:
    """A list of JSON objects with Docker's field names, or a line each by --format."""
    options = several.parse(arguments, TABLE, "inspect [--format TEMPLATE] [--type TYPE] NAME…")
    if options.type not in (None, "container", "image", "volume"):
        raise RuntimeFailure("--type: should be container, image or volume, and is %.40r" % options.type)
    folders = Folders()
    found, failed = [], 0
    for word in options.rest:
        try:
            found.append(_look(folders, word, options.type))
        except RuntimeFailure as error:
            failed = 1
            sys.stderr.write("shepherd-runtime: %s\n" % error.message)
    if options.format and options.format != "json":
        from shepherd.runtime.cli import table

        for one in found:
            sys.stdout.write(table.field(options.format, one) + "\n")
    else:
        sys.stdout.write(json.dumps(found, indent=4) + "\n")
    return failed


def _look(folders, word, kind):
    if kind in (None, "container"):
        record = records.look(folders, word)
        if record is not None:
            recovery.look_after(record)
            return shown.inspect(record)
    if kind in (None, "volume"):
        from shepherd.runtime.volumes import volume

        found = volume.look(folders.root, word) if volume.is_name(word) else None
        if found is not None:
            return found.shown()
    if kind in (None, "image"):
        from shepherd.runtime.cli import inspect_image
        from shepherd.runtime.images import image
        from shepherd.runtime.images.store import Store

        try:
            store = Store(folders.root)
            return inspect_image.describe(store, image.find(store, word))
        except RuntimeFailure:
            pass
    raise RuntimeFailure("no such object: %.140s" % ascii(word)[1:-1])
