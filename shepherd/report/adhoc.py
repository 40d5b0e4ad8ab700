"""`shepherd run`: each host's answer under its name."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from shepherd.report import difference, events, values

if TYPE_CHECKING:
    from shepherd.report.style import Style

SAID = {"ok": "SUCCESS", "changed": "CHANGED", "failed": "FAILED", "unreachable": "UNREACHABLE!", "skipped": "SKIPPED"}


class AdHoc:
    def __init__(self, stream: IO[str], style: Style, *, verbosity: int, diff: bool, one_line: bool) -> None:
        self._stream = stream
        self._style = style
        self._verbosity = verbosity
        self._diff = diff
        self._one_line = one_line

    def emit(self, event: events.Event) -> None:
        if isinstance(event, events.HostResult):
            self._host(event)
        elif isinstance(event, events.NoHosts):
            self._say(f"no hosts matched {event.pattern}", "skipped")
        elif isinstance(event, events.Message) and (event.level in ("warning", "deprecation") or self._verbosity):
            self._say(f"[{event.level.upper()}] {event.text}", event.level)

    def close(self) -> None:
        self._stream.flush()

    def _host(self, event: events.HostResult) -> None:
        result = event.result
        if self._diff and "diff" in result:
            for line in difference.lines(result["diff"], self._style):
                self._stream.write(line + "\n")
        head = f"{event.host} | {SAID.get(event.status, event.status.upper())}"
        if "rc" in result and "stdout" in result:
            head += f" | rc={result['rc']}"
            text = "\n".join(part.rstrip("\n") for part in (result["stdout"], result.get("stderr", "")) if part)
            if event.status != "ok" and not text:
                text = str(result.get("msg", ""))
            body = f" | (stdout) {text!r}" if self._one_line else f" >>\n{text}"
        elif self._one_line:
            body = f" => {json.dumps(result, default=str)}"
        elif event.status in ("failed", "unreachable"):
            body = " =>" + "".join(f"\n    {line}" for line in values.lines(result, verbosity=self._verbosity))
        else:
            body = f" => {json.dumps(result, indent=4, default=str, ensure_ascii=False)}"
        self._say(head + body, event.status)

    def _say(self, text: str, what: str) -> None:
        self._stream.write(self._style.paint(text, what) + "\n")
