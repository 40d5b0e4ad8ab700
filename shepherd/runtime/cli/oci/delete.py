"""`delete [--force] ID`: take away a container that has ended, or end it."""

from shepherd.runtime.bundle import lifecycle
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options

TABLE = {"--force": ("force", bool), "-f": ("force", bool)}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "delete [--force] ID", 1, 1)
    lifecycle.delete(oci.root(chosen), found.rest[0], found.force)
    return 0
