"""`state ID`: the state of a container as JSON (runtime.md, "State")."""

import sys

from shepherd.runtime.bundle import document, state
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, {}, "state ID", 1, 1)
    container = state.find(oci.root(chosen), found.rest[0])
    shown = container.public()
    shown.setdefault("pid", 0)
    config = container.record["config"]
    shown["rootfs"] = config["root"]["path"]
    shown["created"] = container.record["created"]
    shown["owner"] = str(container.record["owner"])
    sys.stdout.write(document.indented(shown) + "\n")
    return 0
