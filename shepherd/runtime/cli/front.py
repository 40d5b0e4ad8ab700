"""`shepherd-runtime front NAME`: who has the connections of ports that containers publish together (run --front).

front NAME                                  the containers, how they are, and how many connections each has
front NAME --serve NEW --hold OLD           from now on new connections go to NEW, and none to OLD
front NAME --hold OLD --wait 10             and wait until OLD has none, for 10 seconds; end what is quiet then
"""

import sys
import time

from shepherd.runtime.cli import several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "say which containers have the connections of ports that they share"
TABLE = {"--serve": ("serve", list), "--hold": ("hold", list), "--wait": ("wait", str)}
_LOOK = 0.02  # seconds between two looks


def run(arguments: list) -> int:
    """A container is a line: its name, `serving`, `held` or `ill`, and its connections."""
    options = several.parse(
        arguments, TABLE, "front NAME [--serve CONTAINER]… [--hold CONTAINER]… [--wait SECONDS]", 1, 1
    )
    from shepherd.runtime.network import attach

    name, folders = options.rest[0], Folders()
    groups = [_mark(folders, name, words, held) for words, held in ((options.serve, False), (options.hold, True))]
    if any(groups):
        attach.switch(name, *groups)
    if options.wait:
        _wait(name, groups[1], _seconds(options.wait))
    counts = attach.connections(name)
    for one in attach.sharing(name):
        state = "held" if one["held"] else "ill" if one["ill"] else "serving"
        sys.stdout.write("%s %s %d\n" % (one["name"], state, counts.get(one["container"], 0)))
    return 0


def _mark(folders, name, words, held):
    """{id: name}. It stays so when they are started again."""
    found = {}
    for word in words:
        with records.find(folders, word) as record:
            given = record.config.get("Networking") or {}
            if given.get("front") != name:
                raise RuntimeFailure("container %s has nothing to do with the front %s" % (record.name, name))
            if bool(given.get("held")) != held:
                given["held"] = held
                record.save()
            found[record.id] = record.name
    return found


def _wait(name, group, seconds):
    from shepherd.runtime.network import attach

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        counts = attach.connections(name)
        if not any(counts.get(identity) for identity in group):
            return
        time.sleep(_LOOK)
    attach.connections(name, list(group))


def _seconds(text):
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise RuntimeFailure("--wait: should be seconds, and is %.40r" % text)
    return found
