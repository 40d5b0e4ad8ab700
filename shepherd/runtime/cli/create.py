"""`shepherd-runtime create [OPTIONS] IMAGE [COMMAND…]`: make a container, and do not start it."""

import sys

from shepherd.runtime.cli import run as running
from shepherd.runtime.cli import run_options

HELP = "make a container, and do not start it"


def run(arguments: list) -> int:
    """Its id is printed."""
    options = run_options.read(arguments, "create [OPTIONS] IMAGE [COMMAND…]")
    sys.stdout.write(running.make(options).id + "\n")
    return 0
