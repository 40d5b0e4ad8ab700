"""One JSON object a line, for programs: every event with its type under `event` and its time under `time`."""

from __future__ import annotations

import json
import time
from typing import IO, TYPE_CHECKING

from shepherd.report.events import record

if TYPE_CHECKING:
    from shepherd.report.events import Event


class JsonLines:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def emit(self, event: Event) -> None:
        line = {"time": round(time.time(), 6), **record(event)}
        self._stream.write(json.dumps(line, default=str) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()
