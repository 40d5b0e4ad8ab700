"""Digests: `sha256:…` (OCI image specification, descriptor.md, "Digests").

A digest comes from outside and becomes a part of a path. So it is a Digest only after its form was checked, and
everything that makes a path takes a Digest.
"""

import sys

from shepherd.runtime.errors import RuntimeFailure

try:  # Python's own code, by version: what is not there is looked for in every folder
    _own = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256
except ImportError:
    _own = None

# algorithm → hexadecimal digits; what the specification registers. Others are refused: they could not be verified.
ALGORITHMS = {"sha256": 64, "sha512": 128}
HEX = frozenset("0123456789abcdef")
CHUNK = 1 << 20
_SMALL = 1 << 16  # bytes that are hashed before OpenSSL, which hashlib needs and which is quicker, is loaded


class Digest(str):
    """A digest of proven form; its `algorithm` and its `hex` digits are safe as parts of a path."""

    __slots__ = ()

    def __new__(cls, text):
        if not isinstance(text, str) or not is_digest(text):
            known = isinstance(text, str) and text.split(":")[0] in ALGORITHMS
            raise RuntimeFailure(
                "not a digest: %s" % ascii(text)[:100],
                None if known else "known algorithms: %s" % ", ".join(sorted(ALGORITHMS)),
            )
        return str.__new__(cls, text)

    @property
    def algorithm(self):
        return self.partition(":")[0]

    @property
    def hex(self):
        return self.partition(":")[2]

    def hasher(self):
        import hashlib

        return hashlib.new(self.algorithm)

    def is_of(self, data: bytes) -> bool:
        """Whether this is what these bytes hash to."""
        return _hashed(self.algorithm, data) == self.hex


def is_digest(text: str) -> bool:
    """Whether it has the form of one."""
    algorithm, _colon, digits = text.partition(":")
    return ALGORITHMS.get(algorithm) == len(digits) and HEX.issuperset(digits)


def of(data: bytes) -> Digest:
    return Digest("sha256:" + _hashed("sha256", data))


def _hashed(algorithm, data):
    if algorithm == "sha256" and len(data) <= _SMALL and _own is not None:
        return _own(data).hexdigest()
    import hashlib

    return hashlib.new(algorithm, data).hexdigest()


class Verified:
    """What is read from `source` (a file), hashed while it is read and never more than `size` bytes of it.

    At the end the digest and the size are compared, and what is wrong raises RuntimeFailure: a reader that got to the
    end has the right bytes. With `size` None, whatever is there is read.
    """

    def __init__(self, source, digest: Digest, size=None, what="blob"):
        self._source = source
        self._digest = digest
        self._left = size
        self._size = size
        self._what = what
        self._hasher = digest.hasher()
        self._done = False

    def read(self, count=CHUNK) -> bytes:
        if self._left is not None and count > self._left:
            count = self._left
        data = self._source.read(count) if count else b""
        if data:
            self._hasher.update(data)
            if self._left is not None:
                self._left -= len(data)
        elif not self._done and not (self._left is None and count == 0):
            self._finish()
        return data

    def _finish(self):
        self._done = True
        if self._left:
            raise RuntimeFailure(
                "%s %s is cut short: %d of %d bytes" % (self._what, self._digest, self._size - self._left, self._size)
            )
        if self._left == 0 and self._source.read(1):
            raise RuntimeFailure("%s %s is longer than the %d bytes it says" % (self._what, self._digest, self._size))
        found = "%s:%s" % (self._digest.algorithm, self._hasher.hexdigest())
        if found != self._digest:
            raise RuntimeFailure("%s %s has other content: it is %s" % (self._what, self._digest, found))
