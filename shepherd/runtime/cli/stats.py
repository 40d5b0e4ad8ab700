"""`shepherd-runtime stats [CONTAINER…]`: what containers use, again and again."""

import sys
import time

from shepherd.runtime.cli import several, table
from shepherd.runtime.cli.image_output import size
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers import recovery, usage
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.errors import RuntimeFailure

HELP = "show what containers use"
TABLE = {"--all": ("all", bool), "-a": ("all", bool), "--format": ("format", str), "--no-stream": ("once", bool),
         "--no-trunc": ("whole", bool)}  # fmt: skip
_COLUMNS = [("CONTAINER ID", "ID"), ("NAME", "Name"), ("CPU %", "CPUPerc"), ("MEM USAGE / LIMIT", "MemUsage"),
            ("MEM %", "MemPerc"), ("NET I/O", "NetIO"), ("BLOCK I/O", "BlockIO"), ("PIDS", "PIDs")]  # fmt: skip
_EVERY = 1.0  # seconds, over which the share of a processor is measured


def run(arguments: list) -> int:
    """Once with --no-stream, or where nobody looks."""
    options = several.parse(arguments, TABLE, "stats [--all] [--no-stream] [--format FORM] [CONTAINER…]", 0)
    folders = Folders()
    terminal = sys.stdout.isatty()
    before = _samples(folders, options)
    while True:
        time.sleep(_EVERY)
        now = _samples(folders, options)
        rows = [_row(one, before.get(one.id), sample, options.whole) for one, sample in now.values()]
        if terminal and not options.once and not options.format:
            sys.stdout.write("\x1b[2J\x1b[H")
        table.show(rows, _COLUMNS, options.format)
        sys.stdout.flush()
        if options.once:
            return 0
        before = now


def _samples(folders, options):
    """id → (record, what it used up to now); None for one that does not run."""
    if options.rest:
        chosen = [records.find(folders, word) for word in options.rest]
    else:
        chosen = records.everything(folders)
    found = {}
    for one in chosen:
        recovery.look_after(one)
        state = one.state()
        if state["Status"] in ("running", "paused"):
            if not one.is_grouped:
                raise RuntimeFailure("container %s has no control group that counts what it uses" % one.name)
            sample = usage.sample(one.group)
            sample["at"] = time.monotonic()
            sample["received"], sample["sent"] = usage.network(state["Pid"])
            found[one.id] = (one, sample)
        elif options.rest or options.all:
            found[one.id] = (one, None)
    return found


def _row(record, before, now, whole):
    """Fields as `docker stats --format json` has them."""
    row = {"Container": record.name, "ID": record.id if whole else record.id[:12], "Name": record.name}
    if now is None:
        row.update(CPUPerc="0.00%", MemUsage="0B / 0B", MemPerc="0.00%", NetIO="0B / 0B", BlockIO="0B / 0B", PIDs="0")
        return row
    cpu = 0.0
    if before is not None and before[1] is not None:
        cpu = 100 * (now["cpu"] - before[1]["cpu"]) / (now["at"] - before[1]["at"])
    row.update({
        "CPUPerc": "%.2f%%" % max(0.0, cpu),
        "MemUsage": "%s / %s" % (_binary(now["memory"]), _binary(now["limit"])),
        "MemPerc": "%.2f%%" % (100 * now["memory"] / now["limit"] if now["limit"] else 0),
        "NetIO": "%s / %s" % (size(now["received"]), size(now["sent"])),
        "BlockIO": "%s / %s" % (size(now["read"]), size(now["written"])),
        "PIDs": str(now["pids"]),
    })  # fmt: skip
    return row


def _binary(count):
    value, unit = float(count), 0
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    while value >= 1024 and unit < len(units) - 1:
        value, unit = value / 1024, unit + 1
    return "%.4g%s" % (value, units[unit])
