"""`shepherd-runtime diff CONTAINER`: what a container changed of its image's files."""

import sys

from shepherd.runtime.cli import several
from shepherd.runtime.containers import changes
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders

HELP = "show what a container changed of its image's files"


def run(arguments: list) -> int:
    """A added, C changed, D deleted."""
    from shepherd.runtime.cli.image_output import printable

    options = several.parse(arguments, {}, "diff CONTAINER", 1, 1)
    for kind, path in changes.listed(records.find(Folders(), options.rest[0])):
        sys.stdout.write("%s %s\n" % (kind, printable(path)))
    return 0
