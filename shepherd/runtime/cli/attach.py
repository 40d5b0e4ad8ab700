"""`shepherd-runtime attach CONTAINER`: be at the streams of a container that runs. Control-P control-Q leaves it."""

from shepherd.runtime.cli import attached, several
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders

HELP = "be at the streams of a container"
TABLE = {"--no-stdin": ("no_stdin", bool), "--sig-proxy": ("proxy", bool), "--detach-keys": ("keys", str)}


def run(arguments: list) -> int:
    """The exit code is the program's."""
    options = several.parse(arguments, TABLE, "attach [--no-stdin] [--sig-proxy=false] CONTAINER", 1, 1)
    proxy = options.proxy or not any(word.startswith("--sig-proxy") for word in arguments)
    record = records.find(Folders(), options.rest[0])
    interactive = bool(record.config["Config"].get("OpenStdin")) and not options.no_stdin
    return attached.Relay(record, attached.attach(record), interactive, attached.only([]), proxy).run()
