"""`events [--stats] [--interval SECONDS] ID`: what a container uses, as lines of JSON, until it ends."""

import sys

from shepherd.runtime.bundle import create, document, state
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

TABLE = {"--stats": ("once", bool), "--interval": ("interval", str)}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "events [--stats] [--interval SECONDS] ID", 1, 1)
    interval = seconds(found.interval or "5s")
    container = state.find(oci.root(chosen), found.rest[0])
    if container.status() == "stopped":
        raise RuntimeFailure("container %s is not running" % container.name)
    group = create.open_group(container.record["group"])
    while True:
        line = {"type": "stats", "id": container.name, "data": group.stats()}
        sys.stdout.write(document.dumps(line) + "\n")
        sys.stdout.flush()
        if found.once or container.wait(interval):
            return 0


def seconds(text: str) -> float:
    """A length of time such as 5s, 500ms, 1m. Raises RuntimeFailure."""
    for unit, factor in (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("", 1)):
        if text.endswith(unit):
            try:
                value = float(text[: len(text) - len(unit)]) * factor
            except ValueError:
                continue
            if 0 < value < 1e9:
                return value
    raise RuntimeFailure("--interval: should be a time such as 5s, and is %.40r" % text)
