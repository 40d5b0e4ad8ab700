"""`ps [--format table|json] ID [OPTIONS OF ps]`: the processes of a container, as this machine numbers them."""

import sys

from shepherd.runtime.bundle import document, groups, state
from shepherd.runtime.cli import oci, processes
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

TABLE = {"--format": ("format", str), "-f": ("format", str)}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "ps [--format table|json] ID [OPTIONS OF ps]", 1, until_first=True)
    if found.format not in (None, "table", "json"):
        raise RuntimeFailure("--format: should be table or json")
    container = state.find(oci.root(chosen), found.rest[0])
    pids = sorted(set(groups.of(container.record).processes()))
    if found.format == "json":
        sys.stdout.write(document.dumps(pids) + "\n")
    else:
        processes.show(pids, found.rest[1:])
    return 0
