"""One JSON object a line, for programs: every event with its type under `event` and its time under `time`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from shepherd.report.events import record
from shepherd.report.values import plain

if TYPE_CHECKING:
    from shepherd.report.events import Event
    from shepherd.report.stream import Stream


class JsonLines:
    """`time` is in seconds since 1970. All is ASCII: nothing in it can drive a terminal."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def emit(self, event: Event) -> None:
        line = {"time": round(time.time(), 6), **record(event)}
        try:
            text = json.dumps(line, default=plain)
        except (TypeError, ValueError):  # a key that is no text, a value within itself, no number JSON has
            text = json.dumps(plain(line))
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()
