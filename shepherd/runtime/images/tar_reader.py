"""Tar, read from a stream: ustar, pax, GNU long names, sparse files in their four forms.

The forms are those of pax(1) in POSIX.1-2017 ("ustar Interchange Format", "pax Extended Header") and of GNU tar's
manual ("Basic Tar Format", "Storing Sparse Files"). Written here and not taken from tarfile because a layer's reader
must not seek, must know xattrs and sparse files of every kind, must bound what it reads, and is the slowest part of an
unpacking. Where readers differ, this one agrees with Go's archive/tar, which other container programs use.
"""

import struct

from shepherd.runtime.errors import RuntimeFailure

FILE, LINK, SYMLINK, CHARACTER, BLOCK, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"S": FILE}
_KINDS.update((kind, kind) for kind in (LINK, SYMLINK, CHARACTER, BLOCK, FOLDER, FIFO))

_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x")
_ZEROS = bytes(512)
_USTAR, _GNU = b"ustar\x0000", b"ustar  \x00"
LARGEST_HEADER = 1 << 20  # of pax records, a long name or a map of a sparse file
LARGEST_NAME = 4096  # PATH_MAX
_LARGEST_ID = (1 << 32) - 2  # the highest one is -1, "leave as it is"
_LARGEST_TIME = 1 << 40  # seconds
_LARGEST_SIZE = (1 << 63) - 1
_XATTR = b"SCHILY.xattr."


class Broken(RuntimeFailure):
    """The tar stream is not one. The message has no place in it: whoever reads the layer adds which one it is."""


class Entry:
    """`name` and `link` as bytes, `kind` as one of the constants above, times in nanoseconds, `xattrs` bytes by bytes.

    `stored` bytes follow in the stream; `size` is the file's, which differs where it is sparse: then `sparse` lists
    (offset, count) of the parts that were stored.
    """

    __slots__ = (
        "gid", "kind", "link", "major", "minor", "mode", "mtime", "name", "size", "sparse", "stored", "uid", "xattrs",
    )  # fmt: skip


class Stream:
    """Bytes from an iterator of pieces, taken in the portions a reader asks for."""

    def __init__(self, source):
        self._source = iter(source)
        self._piece = memoryview(b"")
        self._place = 0
        self.taken = 0

    def _more(self):
        for piece in self._source:
            if piece:
                self._piece = memoryview(piece)
                self._place = 0
                return True
        self._piece = memoryview(b"")
        self._place = 0
        return False

    def take(self, count) -> bytes:
        """`count` bytes, or fewer at the end."""
        place, end = self._place, self._place + count
        if end <= len(self._piece):
            self._place = end
            self.taken += count
            return self._piece[place:end].tobytes()
        return b"".join(self.parts(count, True))

    def parts(self, count, short=False):
        """Views of the next `count` bytes. Raises Broken where there are fewer, unless it may be `short`."""
        while count:
            there = len(self._piece) - self._place
            if not there:
                if not self._more():
                    if short:
                        return
                    raise Broken("it ends in the middle")
                continue
            part = self._piece[self._place : self._place + count] if there > count else self._piece[self._place :]
            self._place += len(part)
            self.taken += len(part)
            count -= len(part)
            yield part

    def skip(self, count, padding=0):
        """Leave out `count` bytes, and `padding` after them, which may be missing at the end of an archive."""
        for _ in self.parts(count):
            pass
        for _ in self.parts(padding, True):
            pass

    def drain(self):
        """Read to the end, so that what checks the whole stream has seen it."""
        self.taken += len(self._piece) - self._place
        while self._more():
            self.taken += len(self._piece)


def entries(stream: Stream):
    """Every Entry of the archive. Between two of them, exactly `stored` bytes may be taken from the stream, or none."""
    pax, long_name, long_link = {}, None, None
    while True:
        header = stream.take(512)
        if len(header) < 512:
            if header:
                raise Broken("it ends in the middle of a header")
            return  # a missing end is forgiven by everyone
        if header == _ZEROS:
            second = stream.take(512)
            if second and second != _ZEROS:
                raise Broken("one block of zeros, and then more")
            return
        entry, kind, magic = _read_header(header)
        if kind in b"xgLK":
            if entry.stored > LARGEST_HEADER:
                raise Broken("a header of %d bytes" % entry.stored)
            data = _exactly(stream, entry.stored)
            stream.skip(-entry.stored % 512)
            if kind == b"x":
                pax = _records(data)
            elif kind == b"L":
                long_name = data.split(b"\0", 1)[0]
            elif kind == b"K":
                long_link = data.split(b"\0", 1)[0]
            continue  # a global pax header says nothing about a layer
        entry.kind = _KINDS.get(kind)
        if entry.kind is None:
            raise Broken("an entry of the unknown type %r" % kind)
        if long_name is not None:
            entry.name = long_name
        if long_link is not None:
            entry.link = long_link
        if pax:
            _apply(entry, pax)
        stored = entry.stored
        if kind == b"S":
            _read_gnu_sparse(entry, header, magic, stream)
        elif b"GNU.sparse" in pax and entry.kind is FILE:
            _read_pax_sparse(entry, pax, stream)
        if entry.kind is FILE and entry.name.endswith(b"/"):
            if stored:
                raise Broken("%s is a folder with content" % ascii(entry.name)[:100])
            entry.kind = FOLDER  # the way of tar before it had folders
        if entry.kind is not FILE:
            stored = entry.stored = entry.size = 0  # what is said there is not there
        _check(entry)
        pax, long_name, long_link = {}, None, None
        before = stream.taken
        yield entry
        taken = stream.taken - before
        stream.skip(entry.stored - taken, -stored % 512)


def _read_header(header):
    fields = _HEADER.unpack(header)
    name, mode, uid, gid, size, mtime, checksum, kind, link, magic, _, _, major, minor, prefix = fields
    said = _number(checksum)
    found = sum(header) - sum(checksum) + 256
    if said != found and said != found - 256 * sum(1 for one in header if one > 127):
        raise Broken("a header whose checksum is wrong")
    entry = Entry()
    entry.name = name.split(b"\0", 1)[0]
    if magic == _USTAR and prefix[0]:
        entry.name = prefix.split(b"\0", 1)[0] + b"/" + entry.name
    entry.link = link.split(b"\0", 1)[0]
    entry.mode = _number(mode)
    entry.uid = _number(uid)
    entry.gid = _number(gid)
    entry.size = entry.stored = _number(size)
    entry.mtime = _number(mtime) * 1000000000
    devices = kind in (CHARACTER, BLOCK)
    entry.major = _number(major) if devices else 0
    entry.minor = _number(minor) if devices else 0
    entry.xattrs = None
    entry.sparse = None
    if not 0 <= entry.stored <= _LARGEST_SIZE:
        raise Broken("a size that cannot be: %d" % entry.stored)
    return entry, kind, magic


def _number(field):
    """Octal text, or a binary number where the first bit is set (GNU tar's manual, "Extensions to ustar")."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << (8 * len(field) - 8))
        return value - (0x80 << (8 * len(field) - 8)) if field[0] & 0x40 else value
    text = field.split(b"\0", 1)[0].strip()
    if not text:
        return 0
    if text.strip(b"01234567"):
        raise Broken("a number that is not octal: %r" % text)
    return int(text, 8)


def _exactly(stream, count):
    data = stream.take(count)
    if len(data) < count:
        raise Broken("it ends in the middle")
    return data


def _decimal(text):
    if not text.isdigit() or len(text) > 20:
        raise Broken("a number that is not decimal: %r" % text[:40])
    return int(text)


def _records(data):
    """The records of a pax header: `LENGTH KEY=VALUE\\n`. Those about a sparse file are kept in their order too."""
    found, sparse = {}, []
    place, end = 0, len(data)
    while place < end:
        space = data.find(b" ", place, place + 21)
        if space < 0:
            if not data[place:].strip(b"\0"):
                break  # padded
            raise Broken("a pax record without a length")
        length = _decimal(data[place:space])
        record = data[space + 1 : place + length]
        key, equals, value = record.partition(b"=")
        if b"\0" in key or length < 5 or place + length > end or not equals or not value.endswith(b"\n") or not key:
            raise Broken("a pax record that is not one")
        value = value[:-1]
        found[key] = value
        if key.startswith(b"GNU.sparse."):
            sparse.append((key[11:], value))
        place += length
    if sparse:
        found[b"GNU.sparse"] = sparse
    return found


def _seconds(text):
    """Nanoseconds of `SECONDS[.FRACTION]`, without a float, which has not enough digits."""
    sign = -1 if text.startswith(b"-") else 1
    whole, _, fraction = text.lstrip(b"-").partition(b".")
    value = _decimal(whole or b"0") * 1000000000 + _decimal((fraction[:9] or b"0").ljust(9, b"0"))
    return sign * value


def _apply(entry, pax):
    for key, value in pax.items():
        if key == b"path":
            if value:
                entry.name = value
        elif key == b"linkpath":
            if value:
                entry.link = value
        elif key == b"size":
            entry.size = entry.stored = _decimal(value)
        elif key == b"uid":
            entry.uid = _decimal(value)
        elif key == b"gid":
            entry.gid = _decimal(value)
        elif key == b"mtime":
            entry.mtime = _seconds(value)
        elif key.startswith(_XATTR):
            if entry.xattrs is None:
                entry.xattrs = {}
            entry.xattrs[key[len(_XATTR) :]] = value


def _check(entry):
    """What the kernel could not take, said before anything is made of it."""
    name, link = entry.name, entry.link
    if b"\0" in name or b"\0" in link:
        raise Broken("a name with a zero byte in it")
    if len(name) > LARGEST_NAME or len(link) > LARGEST_NAME:
        raise Broken("a name of %d bytes" % max(len(name), len(link)))
    if not (0 <= entry.uid <= _LARGEST_ID and 0 <= entry.gid <= _LARGEST_ID):
        raise Broken("%s belongs to the impossible ids %d:%d" % (ascii(name)[:100], entry.uid, entry.gid))
    if not -_LARGEST_TIME <= entry.mtime // 1000000000 <= _LARGEST_TIME:
        raise Broken("%s has an impossible time" % ascii(name)[:100])
    if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
        raise Broken("%s has impossible device numbers" % ascii(name)[:100])
    if not 0 <= entry.size <= _LARGEST_SIZE or not 0 <= entry.stored <= _LARGEST_SIZE:
        raise Broken("%s has an impossible size" % ascii(name)[:100])
    entry.mode &= 0o7777


def _set_map(entry, parts, size):
    """Check what is stored of a sparse file, and take it."""
    last, total = 0, 0
    for offset, count in parts:
        if offset < last or count < 0 or offset + count > size:
            raise Broken("%s has a map of its parts that cannot be" % ascii(entry.name)[:100])
        last = offset + count
        total += count
    if total != entry.stored:
        raise Broken("%s has %d bytes, its map says %d" % (ascii(entry.name)[:100], entry.stored, total))
    entry.size = size
    entry.sparse = [part for part in parts if part[1]]


def _read_gnu_sparse(entry, header, magic, stream):
    if magic != _GNU:
        raise Broken("a sparse file of an unknown kind")
    parts = []
    block, place, slots, more = header, 386, 4, 482
    read = 0
    while True:
        for number in range(slots):
            start = place + 24 * number
            if not block[start]:
                break
            parts.append((_number(block[start : start + 12]), _number(block[start + 12 : start + 24])))
        if not block[more]:
            break
        block = _exactly(stream, 512)
        place, slots, more = 0, 21, 504
        read += 512
        if read > LARGEST_HEADER:
            raise Broken("a map of a sparse file of more than %d bytes" % LARGEST_HEADER)
    _set_map(entry, parts, _number(header[483:495]))


def _read_pax_sparse(entry, pax, stream):
    """Versions 0.0, 0.1 and 1.0, whose map lies before the data and is taken from the stream here."""
    records = pax[b"GNU.sparse"]
    last = dict(records)
    if b"name" in last:
        entry.name = last[b"name"]
    size = _decimal(last.get(b"realsize", last.get(b"size", b"0")))
    if (last.get(b"major"), last.get(b"minor")) == (b"1", b"0"):
        parts, used = _read_stored_map(stream, entry.stored)
        entry.stored -= used
    elif b"map" in last:
        numbers = [_decimal(text) for text in last[b"map"].split(b",")] if last[b"map"] else []
        parts = _pairs(numbers)
    else:
        numbers = [_decimal(value) for key, value in records if key in (b"offset", b"numbytes")]
        parts = _pairs(numbers)
    _set_map(entry, parts, size)


def _pairs(numbers):
    if len(numbers) % 2:
        raise Broken("a map of a sparse file with half a part")
    return list(zip(numbers[::2], numbers[1::2]))


def _read_stored_map(stream, stored):
    """Decimal lines before the data: how many parts, then offset and size of each; filled up to a block."""
    used, data, wanted = 0, b"", None
    numbers = []
    while wanted is None or len(numbers) < wanted:
        if used + 512 > min(stored + 511, LARGEST_HEADER):
            raise Broken("a map of a sparse file that does not end")
        data += _exactly(stream, 512)
        used += 512
        lines = data.split(b"\n")
        data = lines.pop()
        for line in lines:
            if wanted is None:
                wanted = 2 * _decimal(line)
            elif len(numbers) < wanted:
                numbers.append(_decimal(line))
            else:
                break
    return _pairs(numbers), used
