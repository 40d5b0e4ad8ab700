"""How long tests wait for what must happen: on an emulated machine, many times as long as on a real one.

`SHEPHERD_PATIENCE` is the factor; scripts/test-vm sets it. Nothing waits longer than what it waits for takes.
"""

import os

_FACTOR = float(os.environ.get("SHEPHERD_PATIENCE", "1"))


def seconds(usual: float) -> float:
    """So many seconds of a real machine, on this one."""
    return usual * _FACTOR
