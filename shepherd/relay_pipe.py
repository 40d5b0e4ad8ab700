"""What a second helper (become) is reached by: the pipes of a process beside the first one, over its link."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from shepherd import sources
from shepherd.errors import Unreachable
from shepherd.remote import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from shepherd.link import Link


class RelayPipe:
    """The pipes of a process beside the helper, as a `Pipe` (see shepherd.transport) over that helper's link."""

    def __init__(self, link: Link, head: dict[str, Any]) -> None:
        self._link = link
        self._number, self._request = link._new()
        needed = link.lacking(sources.target("shepherd.remote.relay"))
        self._opening = needed + wire.encode(wire.OPEN, self._number, head)
        self._end: dict[str, Any] = {}

    def start(self, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._request.on_data = on_data

        def ended(future: asyncio.Future[dict[str, Any]]) -> None:
            future.exception()  # seen; `wait` raises it
            on_close()

        self._request.future.add_done_callback(ended)

    async def write(self, data: bytes) -> None:
        if self._request.future.done():
            raise Unreachable(f"the process on {self._link.host} has ended")
        opening, self._opening = self._opening, b""
        pieces = (data[at : at + wire.CHUNK] for at in range(0, len(data), wire.CHUNK))
        frames = b"".join(wire.encode(wire.DATA, self._number, None, piece) for piece in pieces)
        await self._link._write(opening + frames)

    @property
    def errors(self) -> bytes:
        return str(self._end.get("stderr", "")).encode("utf-8", "surrogateescape")

    def silent(self) -> Unreachable | None:
        return self._link._pipe.silent()

    async def wait(self) -> int | None:
        """The exit status. Raises RemoteError where the command was refused."""
        try:
            self._end = await asyncio.shield(self._request.future)
        except Unreachable:
            return None
        return self._end.get("rc")

    def close(self) -> None:
        self._link._abandon(self._number)
