"""`shepherd-runtime start CONTAINER…`"""

from shepherd.runtime.cli import several
from shepherd.runtime.containers import launch
from shepherd.runtime.errors import RuntimeFailure

HELP = "start containers"
TABLE = {"--attach": ("attach", bool), "-a": ("attach", bool), "--interactive": ("interactive", bool),
         "-i": ("interactive", bool), "--all": ("all", bool), "--sig-proxy": ("proxy", bool)}  # fmt: skip


def run(arguments: list) -> int:
    """With --attach the exit code is the program's; with --all, all that do not run are started."""
    options = several.parse(arguments, TABLE, "start [OPTIONS] CONTAINER…", 0)
    if options.attach or options.interactive:
        return _attached(options)
    words = options.rest
    if options.all:
        from shepherd.runtime.containers import record as records
        from shepherd.runtime.containers.folders import Folders

        words = [one.name for one in records.everything(Folders())]
    elif not words:
        raise RuntimeFailure("start needs a container's name", "usage: shepherd-runtime start [OPTIONS] CONTAINER…")

    launch.warm()
    return several.each(words, launch.begin_unheard, at_once=True)


def _attached(options):
    from shepherd.runtime.cli import attached
    from shepherd.runtime.containers import record as records
    from shepherd.runtime.containers.folders import Folders

    if len(options.rest) != 1:
        raise RuntimeFailure("--attach and --interactive are for one container")
    record = records.find(Folders(), options.rest[0])
    return attached.run(record, options.interactive, set(attached.only([])))
