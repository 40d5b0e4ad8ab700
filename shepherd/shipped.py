"""What one helper has of the code that it is sent: each source goes over a link once."""

from __future__ import annotations

import linecache
import re
from typing import TYPE_CHECKING

from shepherd.remote import wire

if TYPE_CHECKING:
    from shepherd.sources import Source


class Shipped:
    """The sources that went over one link."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}  # by name
        self._paths: set[str] = set()  # the files they came from
        self._complete: set[Source] = set()  # modules of which nothing in their closure is lacking

    def frames(self, module: Source, bytecode: str, *, ahead: bool = False) -> bytes:
        """The SOURCE frames with what was not sent yet of a module and its closure; it then counts as sent.

        bytecode  that the helper reads, of its hello
        ahead     the helper is to import the module once it is idle
        """
        if module in self._complete:
            return b""
        frames = []
        for source in (*module.closure, module):
            known = self._digests.get(source.name)
            if known == source.digest:
                continue
            if known is not None:
                self._complete.clear()  # another file of the same name, as of another role's library, takes its place
            self._digests[source.name] = source.digest
            self._paths.add(source.path)
            head = {"name": source.name, "file": source.path, "own": source.own, "package": source.package}
            if ahead and source is module and source.own:  # what it imports only when it must is not imported ahead
                head["ahead"] = True
            packed = source.packed(bytecode)
            for start in range(0, len(packed), wire.CHUNK):
                piece = packed[start : start + wire.CHUNK]
                more = start + wire.CHUNK < len(packed)
                frames.append(wire.encode(wire.SOURCE, 0, {**head, "more": True} if more else head, piece))
        self._complete.add(module)
        return b"".join(frames)

    def with_lines(self, traceback: str) -> str:
        """A traceback from the target with the source lines, which are here alone."""
        lines = traceback.splitlines()
        shown = []
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            shown.append(line)
            place = re.fullmatch(r'  File "(.+)", line (\d+)(?:, in .*)?', line)
            if place and place[1] in self._paths and not after.startswith("    "):
                shown.append("    " + linecache.getline(place[1], int(place[2])).strip())
        return "\n".join(shown) + "\n"
