"""`start ID`: let a created container run its program."""

from shepherd.runtime.bundle import lifecycle
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, {}, "start ID", 1, 1)
    lifecycle.start(oci.root(chosen), found.rest[0])
    return 0
