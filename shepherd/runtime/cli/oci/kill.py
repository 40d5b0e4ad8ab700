"""`kill [--all] ID [SIGNAL]`: signal a container's first process; TERM where none is named."""

import _signal as signal  # signal itself costs an import of enum

from shepherd.runtime.bundle import lifecycle
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

TABLE = {"--all": ("everything", bool), "-a": ("everything", bool)}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "kill [--all] ID [SIGNAL]", 1, 2)
    number = parse_signal(found.rest[1] if len(found.rest) == 2 else "TERM")
    lifecycle.kill(oci.root(chosen), found.rest[0], number, found.everything)
    return 0


def parse_signal(word: str) -> int:
    """The number of a signal: 9, KILL, SIGKILL, RTMIN+3. Raises RuntimeFailure."""
    if word.isdigit() and 0 < int(word) < signal.NSIG:
        return int(word)
    name = word.upper()
    name = name if name.startswith("SIG") else "SIG" + name
    base, plus, offset = name.partition("+")
    number = getattr(signal, base, None) if not base.startswith("SIG_") else None
    if isinstance(number, int) and (not plus or (base == "SIGRTMIN" and offset.isdigit())):
        number += int(offset or 0)
        if 0 < number < signal.NSIG:
            return int(number)
    raise RuntimeFailure("%.40r is no signal" % word)
