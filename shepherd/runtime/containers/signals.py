"""Names of signals."""

import _signal as signal  # signal itself costs an import of enum

from shepherd.runtime.errors import RuntimeFailure


def parse(word: str) -> int:
    """The number of a signal: 9, KILL, SIGKILL, RTMIN+3. Raises RuntimeFailure."""
    word = str(word)
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
