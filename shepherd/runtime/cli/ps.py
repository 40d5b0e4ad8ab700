"""`shepherd-runtime ps`: the containers."""

import time

from shepherd.runtime.cli import several
from shepherd.runtime.containers import clock, recovery, shown
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "list containers"
TABLE = {
    "--all": ("all", bool), "-a": ("all", bool), "--filter": ("filters", list), "-f": ("filters", list),
    "--format": ("format", str), "--last": ("last", int), "-n": ("last", int), "--latest": ("latest", bool),
    "-l": ("latest", bool), "--no-trunc": ("whole", bool), "--quiet": ("quiet", bool), "-q": ("quiet", bool),
    "--size": ("size", bool), "-s": ("size", bool),
}  # fmt: skip
_COLUMNS = [("CONTAINER ID", "ID"), ("IMAGE", "Image"), ("COMMAND", "Command"), ("CREATED", "RunningFor"),
            ("STATUS", "Status"), ("PORTS", "Ports"), ("NAMES", "Names")]  # fmt: skip


def run(arguments: list) -> int:
    """Those that run; with --all, all."""
    options = several.parse(arguments, TABLE, "ps [OPTIONS]", 0, 0)
    folders = Folders()
    found = records.everything(folders)
    for one in found:
        recovery.look_after(one)
    rows = []
    tests = [_filter(folders, text) for text in options.filters]
    given = {text.partition("=")[0] for text in options.filters}
    every = options.all or options.last or options.latest or "status" in given or "exited" in given
    for one in found:
        if records.read(folders, one.id) is None:
            continue  # removed by its monitor meanwhile
        state = shown.state(one)
        if (every or state["Status"] in records.ALIVE) and all(test(one, state) for test in tests):
            rows.append(_row(one, state, options.whole, options.size))
    rows = rows[: 1 if options.latest else options.last]
    from shepherd.runtime.cli import table

    columns = _COLUMNS + ([("SIZE", "Size")] if options.size else [])
    table.show(rows, columns, options.format, "ID" if options.quiet else None)
    return 0


def _row(record, state, whole, size):
    """Fields as `docker ps --format json` has them."""
    config = record.config["Config"]
    command = " ".join(config["Entrypoint"] + config["Cmd"])
    created = clock.seconds_of(record.config["Created"])
    row = {
        "ID": record.id if whole else record.id[:12],
        "Image": config["Image"],
        "Command": '"%s"' % (command if whole or len(command) <= 20 else command[:19] + "…"),
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(created)),
        "RunningFor": clock.ago(max(0.0, time.time() - created)) + " ago",
        "Status": shown.sentence(state),
        "State": state["Status"],
        "Ports": shown.ports(record, state),
        "Names": record.name,
        "Labels": ",".join("%s=%s" % pair for pair in sorted((config.get("Labels") or {}).items())),
        "Mounts": ",".join(one.get("Name") or one.get("Source") or "" for one in record.config.get("Mounts") or []),
        "LocalVolumes": str(sum(one["Type"] == "volume" for one in record.config.get("Mounts") or [])),
        "Networks": record.host["NetworkMode"],
        "Size": "",
    }
    if size:
        from shepherd.runtime.cli.image_output import size as human
        from shepherd.runtime.containers.changes import written

        row["Size"] = human(written(record))
    return row


def _filter(folders, text):
    """A test of (record, state) for NAME=VALUE, as docker ps has them."""
    name, equals, value = text.partition("=")
    if name not in _FILTERS or not equals:
        raise RuntimeFailure("--filter: there is no %.60r" % text, "one of: " + ", ".join(sorted(_FILTERS)))
    if name in ("before", "since"):
        value = records.find(folders, value).config["Created"]
    test = _FILTERS[name]
    return lambda record, state: test(record, state, value)


def _has_label(record, _state, value):
    name, equals, wanted = value.partition("=")
    labels = record.config["Config"].get("Labels") or {}
    return name in labels and (not equals or labels[name] == wanted)


def _has_volume(record, _state, value):
    return any(
        value in (one.get("Name"), one.get("Source"), one["Destination"]) for one in record.config.get("Mounts") or []
    )


_FILTERS = {
    "id": lambda record, _state, value: record.id.startswith(value),
    "name": lambda record, _state, value: value.lstrip("/^").rstrip("$") in record.name,
    "label": _has_label,
    "status": lambda _record, state, value: state["Status"] == value,
    "exited": lambda _record, state, value: state["Status"] == "exited" and str(state["ExitCode"]) == value,
    "ancestor": lambda record, _state, value: (
        record.config["Config"]["Image"] in (value, value + ":latest")
        or record.config["Image"].partition(":")[2].startswith(value.partition(":")[2] or value)
    ),
    "before": lambda record, _state, value: record.config["Created"] < value,
    "since": lambda record, _state, value: record.config["Created"] > value,
    "volume": _has_volume,
    "network": lambda record, _state, value: record.host["NetworkMode"] == value,
    "health": lambda _record, state, value: (state.get("Health") or {"Status": "none"})["Status"] == value,
}
