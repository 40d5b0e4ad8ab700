"""The OCI command line: `shepherd-runtime [GLOBAL OPTIONS] VERB … ID`, with the options that callers of runc use."""

import gc
import os
import sys

from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

VERBS = (
    "create",
    "delete",
    "events",
    "exec",
    "features",
    "kill",
    "list",
    "pause",
    "ps",
    "resume",
    "run",
    "spec",
    "start",
    "state",
    "update",
)
GLOBAL = {
    "--root": ("root", str),
    "--state": ("state", str),
    "--log": ("log", str),
    "--log-format": ("log_format", str),
    "--systemd-cgroup": ("systemd", bool),
    "--debug": ("debug", bool),
    "--rootless": ("rootless", str),
    "--criu": ("criu", str),
    "--version": ("version", bool),
    "-v": ("version", bool),
}


def main(words: list) -> int:
    """Run the command line and return its exit code."""
    chosen = None
    gc.disable()  # a command makes less rubbish than it takes time to look for it
    try:
        chosen = options.parse(words, GLOBAL, "[OPTIONS] VERB …", until_first=True)
        if chosen.version:
            import shepherd
            from shepherd.runtime.bundle.state import VERSION

            sys.stdout.write("shepherd-runtime version %s\nspec: %s\n" % (shepherd.__version__, VERSION))
            return 0
        if not chosen.rest or chosen.rest[0] not in VERBS:
            from shepherd.runtime.cli import help as helping

            raise helping.none_such(chosen.rest, VERBS)
        verb = chosen.rest[0]
        if verb in ("create", "run", "exec"):
            from shepherd.runtime.linux import moves

            moves.expect()  # while the rest is imported
        module = __import__("shepherd.runtime.cli.oci." + verb, None, None, ["run"])
        return module.run(chosen, chosen.rest[1:])
    except options.Help as text:
        sys.stdout.write("%s\n" % text)
        return 0
    except RuntimeFailure as error:
        return _fail(chosen, error.message, error.hint)
    except OSError as error:
        return _fail(chosen, "%s: %s" % (error.strerror, error.filename) if error.filename else str(error), None)
    except KeyboardInterrupt:
        return 130


def _fail(chosen, message, hint):
    sys.stderr.write("shepherd-runtime: %s\n" % message)
    if hint:
        sys.stderr.write("  %s\n" % hint)
    if chosen is not None and chosen.log:
        write_log(chosen, message)
    return 255 if chosen is not None and chosen.rest[:1] == ["exec"] else 1  # a command's own codes are others


def write_log(chosen, message: str) -> None:
    """A line of --log, as containerd and podman read it: JSON objects, or key=value text."""
    import time

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if chosen.log_format == "json":
        from shepherd.runtime.bundle import document

        line = document.dumps({"level": "error", "msg": message, "time": stamp})
    else:
        line = 'time="%s" level=error msg="%s"' % (stamp, message.replace("\\", "\\\\").replace('"', '\\"'))
    try:
        with open(chosen.log, "a") as file:
            file.write(line + "\n")
    except OSError:
        pass  # it is on standard error


def root(chosen) -> str:
    """Where the records of bundles are: --root as runc has it, or a folder of the runtime's own state."""
    if chosen.root:
        return os.path.abspath(chosen.root)
    state = chosen.state or os.environ.get("SHEPHERD_RUNTIME_STATE")
    if state:
        return os.path.join(os.path.abspath(state), "bundles")
    from shepherd.runtime.bundle.state import default_root

    return default_root()
