"""`events [--stats] [--interval SECONDS] ID`: what a container uses, as lines of JSON, until it ends.

A line of type "oom" comes between them when the kernel has ended a process of it because memory ran out.
"""

import sys

from shepherd.runtime.bundle import document, groups, state
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
    group = groups.of(container.record)
    kills = group.oom_kills()
    while True:
        _say({"type": "stats", "id": container.name, "data": group.stats()})
        if found.once:
            return 0
        ended = container.wait(interval)
        now = group.oom_kills()
        if now > kills:
            _say({"type": "oom", "id": container.name})
        if ended:
            return 0
        kills = now


def _say(event):
    sys.stdout.write(document.dumps(event) + "\n")
    sys.stdout.flush()


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
