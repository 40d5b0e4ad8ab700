"""Classic BPF for seccomp, written from its end: a jump goes forward only, so what it leads to is there already.

<linux/filter.h>, <linux/seccomp.h>; Documentation/userspace-api/seccomp_filter.rst. A label is how many instructions
stand from a place to the end of the program.
"""

import struct

from shepherd.runtime.errors import RuntimeFailure

LONGEST = 4096  # BPF_MAXINSNS

_INSTRUCTION = struct.Struct("<HBBI")
_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05  # ld [k]; and k; ret k; ja k
JEQ, JGT, JGE = 0x15, 0x25, 0x35
_FAR = 255  # how far a conditional jump reaches


class Program:
    """Instructions, the last one first."""

    def __init__(self):
        self._reversed = []
        self._returns = {}

    def code(self) -> bytes:
        """The instructions as the kernel takes them. Raises RuntimeFailure where they are too many."""
        if len(self._reversed) > LONGEST:
            raise RuntimeFailure("the filter of system calls comes to %d instructions, and the kernel takes %d"
                                 % (len(self._reversed), LONGEST))  # fmt: skip
        return b"".join(_INSTRUCTION.pack(*one) for one in reversed(self._reversed))

    def _put(self, operation, value, yes=0, no=0):
        self._reversed.append((operation, yes, no, value))
        return len(self._reversed)

    def give(self, value: int) -> int:
        """End with this value; the label of that. One for each value."""
        if value not in self._returns:
            self._returns[value] = self._put(_RETURN, value)
        return self._returns[value]

    def load(self, offset: int, after: int) -> int:
        """Load the 32 bits at this offset of struct seccomp_data, then go on at a label."""
        self._go(after)
        return self._put(_LOAD, offset)

    def mask(self, value: int, after: int) -> int:
        """Keep these bits of what is loaded, then go on at a label."""
        self._go(after)
        return self._put(_AND, value)

    def branch(self, comparison: int, value: int, yes: int, no: int) -> int:
        """Compare what is loaded (unsigned) and go on at one label or the other."""
        yes, no = self._near(yes), self._near(no)
        yes = self._near(yes)  # the step for the other may have moved it out of reach
        here = len(self._reversed)
        return self._put(comparison, value, here - yes, here - no)

    def _go(self, label):
        """Have what is put next fall through to a label."""
        if label != len(self._reversed):
            self._put(_JUMP, len(self._reversed) - label)

    def _near(self, label):
        """The label, or that of a jump to it which a conditional jump reaches."""
        if len(self._reversed) - label < _FAR - 1:
            return label
        return self._put(_JUMP, len(self._reversed) - label)
