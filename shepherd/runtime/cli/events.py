"""`shepherd-runtime events`: what happens to containers."""

import json
import sys
import time

from shepherd.runtime.cli import several
from shepherd.runtime.containers import clock, events
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "show what happens to containers"
TABLE = {"--filter": ("filters", list), "-f": ("filters", list), "--format": ("format", str), "--since": ("since", str),
         "--until": ("until", str)}  # fmt: skip
_LOOK = 0.1  # seconds between two looks at the file


def run(arguments: list) -> int:
    """From now on, or from --since, until --until."""
    options = several.parse(arguments, TABLE, "events [OPTIONS]", 0, 0)
    since = clock.moment(options.since, "--since") if options.since else None
    until = clock.moment(options.until, "--until") if options.until else None
    tests = _tests(options.filters)
    folders = Folders()
    follower = events.Follower(folders.events)
    if since is not None or until is not None:
        for one in events.lines(folders.events):
            seconds = one["timeNano"] / 1e9
            if (since is None or seconds >= since) and (until is None or seconds <= until):
                _show(one, tests, options.format)
    while until is None or time.time() < until:
        for one in follower.take():
            _show(one, tests, options.format)
        time.sleep(_LOOK if until is None else max(0.0, min(_LOOK, until - time.time())))
    for one in follower.take():
        if one["timeNano"] / 1e9 <= until:
            _show(one, tests, options.format)
    return 0


_FIELDS = {
    "event": lambda one: [one["Action"], one["Action"].partition(":")[0]],
    "container": lambda one: [one["id"], one["id"][:12], one["Actor"]["Attributes"].get("name")],
    "image": lambda one: [one["from"]],
    "type": lambda one: [one["Type"]],
    "label": lambda one: (
        ["%s=%s" % pair for pair in one["Actor"]["Attributes"].items()] + list(one["Actor"]["Attributes"])
    ),
}


def _tests(filters):
    """Name to the values of which one has to be there."""
    found = {}
    for text in filters:
        name, equals, value = text.partition("=")
        if name not in _FIELDS or not equals:
            raise RuntimeFailure("--filter: there is no %.60r" % text, "one of: " + ", ".join(sorted(_FIELDS)))
        found.setdefault(name, []).append(value)
    return found


def _show(one, tests, form):
    for name, values in tests.items():
        if not set(values).intersection(_FIELDS[name](one)):
            return
    from shepherd.runtime.cli.image_output import printable

    if form in ("json", "{{json .}}"):
        text = json.dumps(one)
    elif form:
        from shepherd.runtime.cli import table

        text = table.field(form, dict(one, ID=one["id"], From=one["from"], Status=one["status"], Time=one["time"]))
    else:
        attributes = ", ".join("%s=%s" % pair for pair in sorted(one["Actor"]["Attributes"].items()))
        stamp = clock.stamp(one["timeNano"] / 1e9)
        text = printable("%s container %s %s (%s)" % (stamp, one["Action"], one["id"], attributes))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
