"""`resume ID`: let a paused container go on."""

from shepherd.runtime.bundle import lifecycle
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, {}, "resume ID", 1, 1)
    lifecycle.resume(oci.root(chosen), found.rest[0])
    return 0
