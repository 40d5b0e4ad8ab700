"""`shepherd-runtime stop CONTAINER…`"""

from shepherd.runtime.cli import several
from shepherd.runtime.containers import signals, stopping

HELP = "end containers: by their signal, and after a while by SIGKILL"
TABLE = {"--time": ("time", int), "--timeout": ("time", int), "-t": ("time", int), "--signal": ("signal", str),
         "-s": ("signal", str)}  # fmt: skip


def run(arguments: list) -> int:
    """They end side by side."""
    options = several.parse(arguments, TABLE, "stop [-t SECONDS] [-s SIGNAL] CONTAINER…")
    number = signals.parse(options.signal) if options.signal else None
    if options.time is not None and options.time < 0:
        options.time = 1 << 30  # as long as it takes
    return several.each(options.rest, lambda record: stopping.stop(record, number, options.time), at_once=True)
