"""Frames: how the controller and the helper talk over one pipe.

    kind      1 byte    one of the constants below
    request   4 bytes   big-endian; chosen by the controller, repeated in every frame that belongs to it
    head      4 bytes   length of the JSON object that follows (0: none, read as {})
    body      4 bytes   length of the raw bytes after it

One frame is written with one write. A body is at most CHUNK bytes; longer ones travel as several frames, so that a
large copy does not keep another answer waiting.

Both halves import this file: the controller from disk, the helper from the pipe.

The package `json` imports `re`, `enum` and more, which is half the time that a helper needs to start. So the compiled
half of it is used alone, as `json` does, where Python has it.
"""

import struct

RUN = 1  # controller: run a module                  head: see helper.py
SOURCE = 2  # controller: a target source                head {"name": dotted, ...}, body: see shepherd/sources.py
PUT = 3  # controller: a piece of an upload           head {"first": bool, "tell": bool}, body: the piece; see helper.py
GET = 4  # controller: send a file                    head {"path": ...}
OPEN = 5  # controller: start a command, relay its pipes (become)   head {"argv": [...], "password": str or None, ...}
DATA = 6  # both: bytes of a relayed pipe, or of a file asked for with GET; an empty body is the end
CANCEL = 7  # controller: end the request's processes
PING = 8  # controller: answered with RESULT {}

HELLO = 16  # helper: ready          head {"python": [3, 11, 7], "executable": ..., "user": ..., "uid": ..., "pid": ...}
RESULT = 17  # helper: the answer, last frame of a request; head is the result
OUTPUT = 18  # helper: output while a module runs        head {"stream": "stdout" or "stderr"}, body: bytes
REFUSED = 19  # helper: a request that could not be served  head {"msg": ..., "kind": ...}
TAKEN = 20  # helper: a PUT with `tell` was read, and all before it

HEADER = struct.Struct(">BIII")
CHUNK = 64 * 1024
HEAD_LIMIT = 256 * 1024 * 1024


class WireError(Exception):
    """Bytes that are no frame: something else writes to the pipe."""


def _plain(value):
    """What JSON has no form for, in the form that people expect: dates as ISO 8601, bytes as text, sets as lists."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, (set, frozenset)):
        return list(value)
    if hasattr(value, "keys"):
        return dict(value)
    raise TypeError("a %s is no plain data" % type(value).__name__)


class _Context:
    """How JSON is read, for the scanner."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float  # NaN, Infinity and -Infinity
    memo = {}  # asked for by Python 3.6; it keeps nothing here


try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(_Context)

    def dumps(value, in_order=False):
        """A value as JSON, in ASCII; `in_order`: keys sorted."""
        encoder = make_encoder({}, _plain, encode_basestring_ascii, None, ":", ",", in_order, False, True)
        return "".join(encoder(value, 0))

    def loads(text):
        """The value of a text that is all JSON. Raises ValueError."""
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            raise ValueError("not JSON: %.80r" % text) from None
        if end != len(text):
            raise ValueError("more than JSON: %.80r" % text)
        return value

    loads(dumps([{"a": 1.5}]))
except (ImportError, TypeError, AttributeError):  # another Python, or one that has changed it
    import json

    def dumps(value, in_order=False):
        """A value as JSON, in ASCII; `in_order`: keys sorted."""
        return json.dumps(value, separators=(",", ":"), default=_plain, sort_keys=in_order)

    loads = json.loads


def encode(kind, request, head=None, body=b"") -> bytes:
    """One frame as bytes, ready for one write. Raises TypeError or ValueError where the head is no plain data."""
    packed = dumps(head).encode("ascii") if head else b""
    return HEADER.pack(kind, request, len(packed), len(body)) + packed + body


class Decoder:
    """Bytes in, whole frames out, however the bytes were cut on the way."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data) -> list:
        """The frames completed by `data`, as a list of (kind, request, head, body)."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= HEADER.size:
            kind, request, head_size, body_size = HEADER.unpack_from(buffer, start)
            if not 0 < kind < 32 or head_size > HEAD_LIMIT or body_size > CHUNK:
                raise WireError("not a frame: %r" % bytes(buffer[start : start + 80]))
            body_at = start + HEADER.size + head_size
            end = body_at + body_size
            if len(buffer) < end:
                break
            head = {}
            if head_size:
                head = loads(bytes(buffer[start + HEADER.size : body_at]).decode("utf-8", "surrogateescape"))
            frames.append((kind, request, head, bytes(buffer[body_at:end])))
            start = end
        del buffer[:start]
        return frames
