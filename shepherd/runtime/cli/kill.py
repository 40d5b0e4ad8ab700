"""`shepherd-runtime kill [-s SIGNAL] CONTAINER…`: signal the first process of containers."""

import _signal as signal  # signal itself costs an import of enum

from shepherd.runtime.bundle import state as processes
from shepherd.runtime.cli import several
from shepherd.runtime.containers import events, launch, recovery, signals, stopping
from shepherd.runtime.errors import RuntimeFailure

HELP = "signal containers"
TABLE = {"--signal": ("signal", str), "-s": ("signal", str)}


def run(arguments: list) -> int:
    """SIGKILL where nothing else is said: of it alone it is certain that they end, and is waited for."""
    options = several.parse(arguments, TABLE, "kill [-s SIGNAL] CONTAINER…")
    number = signals.parse(options.signal or "KILL")

    def work(record):
        ending = None
        with record:
            recovery.recover(record)
            state = record.state()
            declared = signals.parse(record.config["Config"].get("StopSignal") or "TERM")
            if state["Status"] not in ("running", "paused"):
                raise RuntimeFailure("container %s is not running" % record.name)
            if number in (signal.SIGKILL, declared):
                record.set_stopped(True)  # it is meant to be over
            if number == signal.SIGKILL:
                ending = launch.connect(record)
            if not processes.signal_process(record.process(state), number):
                raise RuntimeFailure("container %s is not running" % record.name)
            if number == signal.SIGKILL:
                stopping.thaw(record)
        events.write(record, "kill", {"signal": str(number)})
        if ending is not None:
            ending.ended(final=False)
            ending.close()

    return several.each(options.rest, work, at_once=True)
