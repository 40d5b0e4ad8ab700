"""Files and folders of the controller that a container has mounted: configs, and mounts with a relative source.

Each goes to the target under a name with its digest, and is mounted read-only: other content is another name, and so
another declaration of the services that have it, and of no others.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shepherd.compose.where import Where

MOST = 64 << 20  # bytes that a stack may have of them: for more there are images, and the module `copy`


@dataclass(frozen=True)
class Entry:
    """A file, folder or link. `name` is relative to the item, and empty for the item itself."""

    name: str
    kind: bytes
    mode: int
    path: str | None = None
    content: bytes = b""
    target: str = ""
    owner: tuple[int, int] = (0, 0)

    def read(self) -> bytes:
        if self.path is None:
            return self.content
        with open(self.path, "rb") as file:
            return file.read()


@dataclass(frozen=True)
class Item:
    """What is mounted. `called` is its name on the target; `size` its bytes."""

    called: str
    entries: tuple[Entry, ...]
    size: int


def content(name: str, text: bytes, mode: int, owner: tuple[int, int] = (0, 0)) -> Item:
    """A file of that content; `owner` as numbers of user and group."""
    return _item(name, (Entry("", tarfile.REGTYPE, mode, content=text, owner=owner),))


def local(path: str, where: Where) -> Item:
    """A file or folder of the controller. Raises ComposeError where it cannot be read, or is something else."""
    try:
        return _item(os.path.basename(path), tuple(_entries(path, where)))
    except OSError as error:
        raise where.error(f"cannot read {error.filename or path}: {error.strerror}") from None


def _entries(path: str, where: Where) -> Iterator[Entry]:
    top = os.stat(path)
    if not stat.S_ISDIR(top.st_mode):
        yield _entry("", path, top, where)
        return
    yield Entry("", tarfile.DIRTYPE, 0o755)
    total = 0
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted([*folders, *names]):
            inner = os.path.join(folder, name)
            found = os.lstat(inner)
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
            if total > MOST:
                raise where.error(
                    f"{path} has more than {MOST >> 20} MiB", "put it into an image, or bring it with `copy`"
                )
            yield _entry(os.path.relpath(inner, path), inner, found, where)


def _entry(name: str, path: str, found: os.stat_result, where: Where) -> Entry:
    if stat.S_ISLNK(found.st_mode):
        return Entry(name, tarfile.SYMTYPE, 0o777, target=os.readlink(path))
    if stat.S_ISDIR(found.st_mode):
        return Entry(name, tarfile.DIRTYPE, 0o755)
    if not stat.S_ISREG(found.st_mode):
        raise where.error(f"{path} is no file and no folder")
    return Entry(name, tarfile.REGTYPE, 0o755 if found.st_mode & 0o111 else 0o644, path)


def _item(name: str, entries: tuple[Entry, ...]) -> Item:
    digest = hashlib.sha256()
    size = 0
    for entry in entries:
        data = entry.read() if entry.kind == tarfile.REGTYPE else entry.target.encode("utf-8", "surrogateescape")
        owner = "{}:{} ".format(*entry.owner) if any(entry.owner) else ""
        head = f"{entry.name}\0{entry.kind!r} {entry.mode} {owner}{len(data)}\0"
        digest.update(head.encode("utf-8", "surrogateescape") + data)
        size += len(data)
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", name).strip(".") or "file"
    return Item(f"{plain[:80]}-{digest.hexdigest()[:16]}", entries, size)


def packed(items: Iterable[Item]) -> bytes:
    """A tar of items, each under its name."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for item in items:
            for entry in item.entries:
                one = tarfile.TarInfo(os.path.join(item.called, entry.name).rstrip("/"))
                one.type, one.mode, one.linkname = entry.kind, entry.mode, entry.target
                one.uid, one.gid = entry.owner
                data = entry.read() if entry.kind == tarfile.REGTYPE else b""
                one.size = len(data)
                archive.addfile(one, io.BytesIO(data))
    return made.getvalue()
