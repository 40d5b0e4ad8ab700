"""Whether what is to come has room: told before it is begun, and not when the disk is full of half of it."""

import os
import struct

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import compression

_LEAST_GZIP = 18  # bytes of a header and a trailer
_MOST_RATIO = 1032  # of deflate (zlib's "Technical Details")


def check(folder: str, size: int, what: str) -> None:
    """Raises RuntimeFailure where `size` bytes of `what` are more than is free on the file system of `folder`."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize  # of this user: some is kept for root
    if size > free:
        from shepherd.runtime.cli.image_output import size as human

        raise RuntimeFailure(
            "there is no room for %s in %s: it needs at least %s, and %s are free"
            % (what, folder, human(size), human(free)),
            "see what can go: shepherd-runtime prune",
        )


def unpacked(store, descriptor) -> int:
    """How many bytes a layer has at least when it is unpacked, as far as its blob says without being read."""
    with store.open(descriptor.digest) as file:
        size = os.fstat(file.fileno()).st_size
        kind = compression.kind_of(file.read(4))
        return max(size, _of_gzip(file, size) if kind == "gzip" else 0)


def _of_gzip(file, size):
    """RFC 1952, ISIZE: of the last member, modulo 2^32. 0 where it cannot be."""
    if size < _LEAST_GZIP:
        return 0
    file.seek(-4, os.SEEK_END)
    told = struct.unpack("<I", file.read(4))[0]
    return told if told <= size * _MOST_RATIO else 0  # what comes out is verified in any case
