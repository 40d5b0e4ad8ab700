"""`shepherd-runtime cp CONTAINER:PATH PATH`, `cp PATH CONTAINER:PATH`: files out of a container, and into it.

`-` is a tar on standard input or output.
"""

import os
import sys

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery, root
from shepherd.runtime.containers.copying import Place, copy
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "copy files out of a container, and into it"
TABLE = {
    "--archive": ("archive", bool), "-a": ("archive", bool), "--follow-link": ("follow", bool), "-L": ("follow", bool),
    "--quiet": ("quiet", bool), "-q": ("quiet", bool),
}  # fmt: skip


def run(arguments: list) -> int:
    """Nothing is printed."""
    options = several.parse(arguments, TABLE, "cp [-a] [-L] CONTAINER:PATH PATH|-  or  cp PATH|- CONTAINER:PATH", 2, 2)
    (source_name, source), (target_name, target) = (_split(word) for word in options.rest)
    if (source_name is None) == (target_name is None):
        raise RuntimeFailure("cp: one of the two should be in a container, as CONTAINER:PATH")
    record = records.find(Folders(), source_name or target_name)
    recovery.look_after(record)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    inside = root.open_all(record)
    os.fchdir(here)
    if target_name is None:
        if target == "-":
            return _write(Place(source, inside))
        copy(Place(source, inside), Place(target), options.archive, options.follow)
    else:
        if source == "-":
            return _read(Place(target, inside))
        copy(Place(source), Place(target, inside), options.archive, options.follow)
    return 0


def _split(word):
    """(container or None, path)"""
    name, colon, path = word.partition(":")
    if not colon or "/" in name or name.startswith("."):
        return None, word
    return name, path or "/"


def _write(place):
    """A tar of it, on standard output."""
    from shepherd.runtime.images import diff

    if sys.stdout.isatty():
        raise RuntimeFailure("standard output is a terminal", "a file, or a pipe")
    try:
        folder, name = place.parent()
        with os.fdopen(os.dup(1), "wb") as out:
            diff.write_entry(folder, name or ".", out)
    except OSError as error:
        raise RuntimeFailure("cannot copy %s: %s" % (place.path, error.strerror)) from None
    return 0


def _read(place):
    """What is in the tar on standard input."""
    from shepherd.runtime.images.tar_reader import Stream
    from shepherd.runtime.images.unpack import Unpacker

    try:
        folder = place.open(place.path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RuntimeFailure("cannot copy into %s: %s" % (place.path, error.strerror)) from None
    stream = Stream(iter(lambda: sys.stdin.buffer.read(1 << 16), b""))
    Unpacker(folder, "flat", devices=False).unpack(stream)
    return 0
