"""Tar, written to a stream: ustar headers, with a pax header before those that need one (POSIX.1-2017, pax(1)).

The same entries are the same bytes: nothing of this process, this user or this moment gets in.
"""

import os

from shepherd.runtime.images.tar_reader import CHARACTER, FILE, FOLDER

_LARGEST_OCTAL = 0o7777777
_LARGEST_SIZE = 0o77777777777


class TarWriter:
    """Writes entries to `file`; close() writes the end and leaves the file open."""

    def __init__(self, file):
        self._file = file

    def add(self, name, kind, mode=0o644, size=0, uid=0, gid=0, mtime=0, link=b"", device=0, xattrs=None) -> None:
        """The header of an entry (names as bytes, `mtime` in nanoseconds). `size` bytes are then to be written."""
        if kind == FOLDER and not name.endswith(b"/"):
            name += b"/"
        pax = {}
        prefix, short = _split(name)
        if short is None:
            pax[b"path"] = name
            prefix, short = b"", name[:100]
        if len(link) > 100:
            pax[b"linkpath"] = link
        seconds, rest = divmod(mtime, 1000000000)
        if rest or not 0 <= seconds <= _LARGEST_SIZE:
            pax[b"mtime"] = _decimal(mtime)
        for key, number, largest in ((b"uid", uid, _LARGEST_OCTAL), (b"gid", gid, _LARGEST_OCTAL)):
            if number > largest:
                pax[key] = b"%d" % number
        if size > _LARGEST_SIZE:
            pax[b"size"] = b"%d" % size
        for key in xattrs or ():
            pax[b"SCHILY.xattr." + key] = xattrs[key]
        if pax:
            records = b"".join(_record(key, pax[key]) for key in sorted(pax))
            self._header(b"PaxHeaders/" + os.path.basename(short.rstrip(b"/"))[:80], b"x", 0o644, len(records))
            self._file.write(records)
            self.pad(len(records))
        self._header(
            short, kind, mode, min(size, _LARGEST_SIZE), min(uid, _LARGEST_OCTAL), min(gid, _LARGEST_OCTAL),
            min(max(seconds, 0), _LARGEST_SIZE), link[:100], device, prefix,
        )  # fmt: skip

    def add_bytes(self, name, data, **attributes) -> None:
        """A small file."""
        self.add(name, FILE, size=len(data), **attributes)
        self._file.write(data)
        self.pad(len(data))

    def write(self, data) -> None:
        """Of the content of the entry added last."""
        self._file.write(data)

    def pad(self, size) -> None:
        """After the `size` bytes of an entry's content."""
        if size % 512:
            self._file.write(bytes(512 - size % 512))

    def _header(self, name, kind, mode, size, uid=0, gid=0, seconds=0, link=b"", device=0, prefix=b""):
        devices = kind in (CHARACTER, b"4")
        header = b"".join((
            name.ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0" % (mode, uid, gid),
            b"%011o\0%011o\0" % (size, seconds),
            b"        ",
            kind,
            link.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),  # names of owners are another machine's
            b"%07o\0%07o\0" % ((os.major(device), os.minor(device)) if devices else (0, 0)),
            prefix.ljust(155, b"\0"),
            bytes(12),
        ))  # fmt: skip
        self._file.write(header[:148] + b"%06o\0 " % sum(header) + header[156:])

    def close(self) -> None:
        self._file.write(bytes(1024))


def _split(name):
    """(prefix, name) as ustar has room for them; (None, None) where it has not."""
    if len(name) <= 100:
        return b"", name
    place = name.rfind(b"/", 0, 156)
    while place > 0:
        if len(name) - place - 1 > 100:
            break
        if len(name) - place - 1 > 0:
            return name[:place], name[place + 1 :]
        place = name.rfind(b"/", 0, place)
    return None, None


def _decimal(mtime):
    sign, mtime = (b"-", -mtime) if mtime < 0 else (b"", mtime)
    seconds, rest = divmod(mtime, 1000000000)
    text = b"%s%d" % (sign, seconds)
    return text + (b".%09d" % rest).rstrip(b"0") if rest else text


def _record(key, value):
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
