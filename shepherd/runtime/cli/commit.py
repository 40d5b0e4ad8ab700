"""`shepherd-runtime commit CONTAINER [NAME[:TAG]]`: an image of a container."""

import sys

from shepherd.runtime.cli import several
from shepherd.runtime.cli.pause import change as pausing
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery, root
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "make an image of a container"
TABLE = {
    "--author": ("author", str), "-a": ("author", str), "--change": ("changes", list), "-c": ("changes", list),
    "--message": ("message", str), "-m": ("message", str), "--pause": ("pause", bool), "-p": ("pause", bool),
}  # fmt: skip


def run(arguments: list) -> int:
    """Its id is printed. The container is paused meanwhile, unless --pause=false."""
    options = several.parse(arguments, TABLE, "commit [OPTIONS] CONTAINER [NAME[:TAG]]", 1, 2)
    from shepherd.runtime.containers.commit import commit
    from shepherd.runtime.images import reference

    name = reference.parse(options.rest[1]) if len(options.rest) == 2 else None
    record = records.find(Folders(), options.rest[0])
    recovery.look_after(record)
    changed = {}
    for text in options.changes:
        _change(changed, text, record)
    quiet = any(word in ("--pause=false", "-p=false") for word in arguments)
    root.check_layered(record)
    paused = not quiet and record.state()["Status"] == "running" and record.is_grouped
    if paused:
        pausing(record, True)
    try:
        digest = commit(record, name, options.author or "", options.message or "", changed)
    finally:
        if paused:
            pausing(record, False)
    sys.stdout.write(digest + "\n")
    return 0


def _change(changed, text, record):
    """An instruction of --change: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR."""
    import json

    word, _, rest = text.strip().partition(" ")
    word, rest = word.upper(), rest.strip()
    settings = record.config["Config"]
    if word in ("CMD", "ENTRYPOINT"):
        try:
            value = json.loads(rest)
        except ValueError:
            value = ["/bin/sh", "-c", rest]
        changed[word.capitalize() if word == "CMD" else "Entrypoint"] = value
    elif word == "ENV":
        from shepherd.runtime.containers.specification import merge_environment

        pair = rest if "=" in rest.split(" ")[0] else rest.replace(" ", "=", 1)
        changed["Env"] = merge_environment(changed.get("Env") or settings["Env"], [pair])
    elif word == "LABEL" and "=" in rest:
        labels = changed.setdefault("Labels", dict(settings.get("Labels") or {}))
        labels.update([[part.strip('"') for part in rest.split("=", 1)]])
    elif word == "EXPOSE":
        ports = changed.setdefault("ExposedPorts", dict(settings.get("ExposedPorts") or {}))
        ports[rest if "/" in rest else rest + "/tcp"] = {}
    elif word == "VOLUME":
        changed.setdefault("Volumes", dict(settings.get("Volumes") or {}))[rest] = {}
    elif word in ("USER", "WORKDIR", "STOPSIGNAL"):
        changed[{"USER": "User", "WORKDIR": "WorkingDir", "STOPSIGNAL": "StopSignal"}[word]] = rest
    else:
        known = "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR"
        raise RuntimeFailure("--change: %.60r is none of %s" % (text, known))
