"""A folder brought to a host: one exchange of digests, then one stream of what differs."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from shepherd.actions import copy
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.engine.step import Step


async def send(step: Step, source: str, args: dict[str, Any]) -> dict[str, Any]:
    """`source` ends in a slash: its content goes to dest; else the folder itself goes into dest."""
    follow = args["local_follow"] is not False  # unset: links are followed
    prefix = "" if source.endswith("/") else os.path.basename(source)
    preserve = args["mode"] == "preserve"
    async with step.run.reading:  # in a thread, and once: the hosts behind this one find the digests
        entries = await in_thread(_entries, step, source.rstrip("/") or "/", prefix, follow, preserve)
    if prefix:
        entries.insert(0, [prefix, "dir", None, None, 0, None])
    args["src"] = source
    args["_tree"] = entries
    result = await step.module(args=args)
    need = result.get("need")
    if isinstance(need, list):
        root = os.path.dirname(source) if prefix else source
        stream = cast("BinaryIO", io.BufferedReader(_Joined([os.path.join(root, name) for name in need]), 1024 * 1024))
        args["_need"] = need  # so that the far end need not look at everything again
        result = await step.module(args=args, upload=stream)
    return result


def _entries(step: Step, root: str, prefix: str, follow: bool, preserve: bool) -> list[list[Any]]:
    return [
        _entry(step, path, os.path.join(prefix, relative) if prefix else relative, follow, preserve)
        for path, relative in _walk(root, follow)
    ]


def _walk(root: str, follow: bool) -> Iterator[tuple[str, str]]:
    for folder, folders, names in os.walk(root, followlinks=follow):
        folders.sort()
        for name in sorted([*folders, *names]):
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, root)


def _entry(step: Step, path: str, relative: str, follow: bool, preserve: bool) -> list[Any]:
    """[relative path, dir | file | link, mode or None, SHA-1, size, link's target]"""
    found = os.stat(path) if follow else os.lstat(path)
    mode = f"0{stat.S_IMODE(found.st_mode):o}" if preserve else None
    if stat.S_ISLNK(found.st_mode):
        return [relative, "link", None, None, 0, os.readlink(path)]
    if stat.S_ISDIR(found.st_mode):
        return [relative, "dir", mode, None, 0, None]
    with open(path, "rb") as handle:
        return [relative, "file", mode, copy.digest(step, path, found, handle), found.st_size, None]


class _Joined(io.RawIOBase):
    """Several files read as one, each opened when its turn comes."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__()
        self._paths = paths[::-1]
        self._open: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._open is None:
                if not self._paths:
                    return 0
                self._open = open(self._paths.pop(), "rb")  # noqa: SIM115  # closed below, at its end
            count = cast("io.BufferedReader", self._open).readinto(buffer)
            if count:
                return count
            self._open.close()
            self._open = None
