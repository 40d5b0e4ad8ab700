"""Archives that ADD takes apart: tar, plain or compressed with gzip, bzip2, xz or zstd.

What is one is seen in its content. It is read by the reader of layers, which bounds it, and unpacked by theirs, which
lets nothing out of the folder.
"""

import os

from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import compression, tar_reader
from shepherd.runtime.images.tar_reader import Stream
from shepherd.runtime.images.unpack import Limits, Unpacker

_BZIP2, _XZ = b"BZh", b"\xfd7zXZ\x00"
_CHUNK = 1 << 18


def is_archive(file) -> bool:
    """Whether the file of this descriptor is one."""
    with os.fdopen(os.dup(file), "rb", buffering=0) as opened:
        opened.seek(0)
        try:
            source = _pieces(opened)
            try:
                start = Stream(source).take(512)
            finally:
                source.close()
        except (RuntimeFailure, OSError, EOFError):
            return False
        finally:
            opened.seek(0)
    return len(start) == 512 and is_header(start)


def unpack(file, folder, what) -> None:
    """Unpack the archive in a file into a folder, both descriptors. Raises Wrong."""
    limits = Limits()
    with os.fdopen(os.dup(file), "rb", buffering=0) as opened:
        opened.seek(0)
        packed = os.fstat(file).st_size
        try:
            source = _limited(_pieces(opened), limits, packed)
            try:
                Unpacker(folder, "flat", limits).unpack(Stream(source))
            finally:
                source.close()
        except RuntimeFailure as error:
            raise Wrong("%s: %s" % (what, error.message), what, error.hint)
        except (OSError, EOFError) as error:
            raise Wrong("%s: %s" % (what, error), what)


def _limited(source, limits, packed):
    total = 0
    try:
        for piece in source:
            total += len(piece)
            limits.check_ratio(total, packed)
            yield piece
    finally:
        source.close()


def _pieces(file):
    start = file.read(6)
    file.seek(0)
    if start.startswith(_BZIP2):
        import bz2

        return _decompressed(file, bz2.BZ2Decompressor, OSError)
    if start.startswith(_XZ):
        import lzma

        return _decompressed(file, lambda: lzma.LZMADecompressor(memlimit=1 << 28), lzma.LZMAError)
    return compression.pieces(file)[1]


def _decompressed(file, make, broken):
    """Streams one after the other, never more than a piece of what comes out at a time."""
    data = file.read(_CHUNK)
    while data:
        stream = make()
        while not stream.eof:
            try:
                out = stream.decompress(data, _CHUNK)
            except broken as error:
                raise RuntimeFailure("not well compressed: %s" % error)
            if out:
                yield out
            data = b""
            if not stream.eof and stream.needs_input:
                data = file.read(_CHUNK)
                if not data:
                    raise RuntimeFailure("the compressed data ends in the middle")
        data = stream.unused_data.lstrip(b"\0") or file.read(_CHUNK)


def is_header(block) -> bool:
    """Whether a tar begins so: its checksum is right (POSIX.1-2017, pax(1), "ustar Interchange Format")."""
    try:
        said = int(block[148:156].strip(b" \0") or b"-", 8)
    except ValueError:
        return False
    return said == sum(block[:148]) + 256 + sum(block[156:]) and block[156:157] in _KINDS


_KINDS = tar_reader.FILE + tar_reader.FOLDER + b"\0" + b"1234" + tar_reader.FIFO + b"7xgLKS"
