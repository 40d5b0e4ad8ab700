"""One JSON object a line, for programs: every event with its type under `event` and its time under `time`."""

from __future__ import annotations

import json
import time
from typing import IO

from shepherd.report.events import Event


class JsonLines:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def emit(self, event: Event) -> None:
        record = {"time": round(time.time(), 6), **event.record()}
        self._stream.write(json.dumps(record, default=str) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()
