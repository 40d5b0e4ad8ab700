"""`kill [--all] ID [SIGNAL]`: signal a container's first process, TERM where none is named; 0 asks for it."""

from shepherd.runtime.bundle import lifecycle
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options
from shepherd.runtime.containers.signals import parse as parse_signal

TABLE = {"--all": ("everything", bool), "-a": ("everything", bool)}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "kill [--all] ID [SIGNAL]", 1, 2)
    named = found.rest[1] if len(found.rest) == 2 else "TERM"
    number = 0 if named == "0" else parse_signal(named)
    lifecycle.kill(oci.root(chosen), found.rest[0], number, found.everything)
    return 0
