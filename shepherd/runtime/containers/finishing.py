"""After a container's first process has ended: nothing of its run is left but its log and its exit code."""

import os

from shepherd.runtime.containers import usage
from shepherd.runtime.errors import RuntimeFailure


def finish(record) -> bool:
    """Clear up, whatever there is, and say whether the kernel had killed one of its processes for want of memory."""
    from shepherd.runtime.bundle import lifecycle

    killed = usage.out_of_memory(record.group)
    if record.is_attached:
        try:
            from shepherd.runtime.network import attach

            attach.detach(record.id)
        except ImportError:
            pass  # then nothing was attached
    try:
        lifecycle.delete(record.folders.started, record.id, force=True)
    except RuntimeFailure as error:
        if "does not exist" not in error.message:
            raise
    return killed


def sweep_running(record) -> None:
    """Take away the folder of its monitor's ends."""
    folder = record.folders.running(record.id)
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        try:
            _take_away(os.path.join(folder, name))
        except FileNotFoundError:
            continue  # somebody else does the same: a sweep, beside the monitor's own end
    try:
        os.rmdir(folder)
    except OSError:
        pass


def _take_away(path):
    try:
        os.unlink(path)
    except IsADirectoryError:
        os.rmdir(path)
