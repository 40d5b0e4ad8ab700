"""Each host's result in a file of its own, beside what is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError
from shepherd.report import events, values

if TYPE_CHECKING:
    from shepherd.report import Report


class Tree:
    """A report that also writes `FOLDER/HOST`: the host's last result, as JSON on one line."""

    def __init__(self, report: Report, folder: str) -> None:
        self._report = report
        self._folder = Path(folder).expanduser()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ShepherdError(f"cannot make the folder {folder} for results: {error.strerror}") from None

    def emit(self, event: events.Event) -> None:
        self._report.emit(event)
        if isinstance(event, events.HostResult):
            path = self._folder / event.host.replace("/", "_")
            try:
                path.write_text(values.as_json(event.result), encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                raise ShepherdError(f"cannot write the result of {event.host} to {path}: {error.strerror}") from None

    def close(self) -> None:
        self._report.close()
