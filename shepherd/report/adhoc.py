"""`shepherd run`: each host's answer under its name, as Ansible's ad-hoc command shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.report import difference, events, messages, values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.report import Wishes
    from shepherd.report.stream import Stream
    from shepherd.report.style import Style

SAID = {"ok": "SUCCESS", "changed": "CHANGED", "failed": "FAILED!", "unreachable": "UNREACHABLE!", "skipped": "SKIPPED"}


class AdHoc:
    def __init__(self, out: Stream, notes: Stream, style: Style, wishes: Wishes) -> None:
        self._out = out
        self._notes = notes
        self._style = style
        self._wishes = wishes

    def emit(self, event: events.Event) -> None:
        if isinstance(event, events.HostResult):
            self._host(event)
        elif isinstance(event, events.NoHosts):
            self._message(events.Message("warning", "No hosts matched, nothing to do"))
        elif isinstance(event, events.Message):
            self._message(event)
        self._out.flush()

    def close(self) -> None:
        self._out.flush()

    def _host(self, event: events.HostResult) -> None:
        if self._wishes.diff and "diff" in event.result:
            difference.write(event.result["diff"], self._out, self._style)
        if event.status == "skipped":
            body = SAID["skipped"]
        else:
            body = self._line(event) if self._wishes.one_line else self._block(event)
        self._out.write(self._style.paint(f"{event.host} | {body}", event.status) + "\n")

    def _line(self, event: events.HostResult) -> str:
        result, said = event.result, SAID[event.status]
        if not _is_command(result) or event.status == "failed":
            return f"{said} => {values.as_json(_shown(result), separators=(',', ': '))}"
        streams = (("stdout", result["stdout"]), ("stderr", result.get("stderr")))
        texts = (f"({name}) {_escaped(text)}" for name, text in streams if text or name == "stdout")
        return f"{said} | rc={result['rc']} | {' '.join(texts)}"

    def _block(self, event: events.HostResult) -> str:
        result, said = event.result, SAID[event.status]
        if _is_command(result):
            parts = [result["stdout"], result.get("stderr"), result.get("msg") if event.status == "failed" else ""]
            text = "\n".join(str(part).rstrip("\n") for part in parts if part)
            return f"{said.rstrip('!')} | rc={result['rc']} >>\n{text}"
        if event.status in ("failed", "unreachable"):  # its message may have many lines
            shown = values.lines(result, verbosity=self._wishes.verbosity)
            return f"{said} =>" + "".join(f"\n    {line}" for line in shown)
        return f"{said} => {values.as_json(_shown(result), indent=4)}"

    def _message(self, event: events.Message) -> None:
        messages.say(event, self._out, self._notes, self._style, self._wishes.verbosity)


def _is_command(result: Mapping[str, Any]) -> bool:
    return "rc" in result and "stdout" in result


def _shown(result: Mapping[str, Any]) -> dict[str, Any]:
    """Without what has been shown already, by name."""
    return {name: result[name] for name in sorted(result, key=str) if name not in ("diff", "warnings", "deprecations")}


def _escaped(text: Any) -> str:
    return str(text).rstrip("\n").replace("\r", "\\r").replace("\n", "\\n")
