"""`pause ID`: stop all processes of a container where they are."""

from shepherd.runtime.bundle import lifecycle
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, {}, "pause ID", 1, 1)
    lifecycle.pause(oci.root(chosen), found.rest[0])
    return 0
