"""Layers that no program writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shepherd.runtime.images import tar_reader, trees
from shepherd.runtime.images.unpack import Limits, Unpacker

if TYPE_CHECKING:
    from pathlib import Path


def header(name: bytes, kind: bytes, data: bytes = b"", size: bytes | None = None, **fields: bytes) -> bytes:
    block = bytearray(512)
    block[:100] = name[:100].ljust(100, b"\0")
    block[100:108] = fields.get("mode", b"0000644\0")
    block[108:116] = fields.get("uid", b"0000000\0")
    block[116:124] = fields.get("gid", b"0000000\0")
    block[124:136] = size or b"%011o\0" % len(data)
    block[136:148] = fields.get("mtime", b"00000000000\0")
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = fields.get("link", b"")[:100].ljust(100, b"\0")
    block[257:265] = fields.get("magic", b"ustar\x0000")
    block[329:345] = fields.get("device", b"0000000\x000000000\0")
    extra = fields.get("extra", b"")
    block[386 : 386 + len(extra)] = extra
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % 512)


def unpack_raw(data: bytes, root: Path, limits: Limits | None = None, form: str = "trusted") -> Unpacker:
    fd = trees.open_folder(str(root))
    try:
        unpacker = Unpacker(fd, form, limits)
        unpacker.unpack(tar_reader.Stream([data]))
        return unpacker
    finally:
        os.close(fd)
