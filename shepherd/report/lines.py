"""Plain lines: plays, tasks and hosts as they come, in the layout that Ansible's users know."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from shepherd.report import difference, events, values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shepherd.report.style import Style

WIDTH = 79
PREFIX = {
    "failed": "fatal",
    "unreachable": "fatal",
    "skipped": "skipping",
    "ok": "ok",
    "changed": "changed",
}
SAID = {"failed": "FAILED!", "unreachable": "UNREACHABLE!"}


class Lines:
    def __init__(self, stream: IO[str], style: Style, *, verbosity: int = 0, diff: bool = False) -> None:
        self.stream = stream
        self.style = style
        self.verbosity = verbosity
        self.diff = diff
        self._pending: events.TaskStart | None = None
        self._handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.PlayStart: self._play,
            events.NoHosts: self._no_hosts,
            events.TaskStart: self._task,
            events.HostResult: self._host,
            events.ItemResult: self._item,
            events.Retry: self._retry,
            events.Included: self._included,
            events.Message: self._message,
            events.Recap: self._recap,
        }

    def emit(self, event: events.Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def close(self) -> None:
        self.stream.flush()

    def say(self, text: str, what: str = "info") -> None:
        """One or more whole lines."""
        self.stream.write(self.style.paint(text, what) + "\n")

    def _heading(self, text: str) -> None:
        self.stream.write("\n")
        self.say(f"{text} {'*' * max(WIDTH - len(text) - 1, 3)}", "heading")

    def _play(self, event: events.PlayStart) -> None:
        self._heading(f"PLAY [{event.name}]" + (" [CHECK MODE]" if event.check else ""))

    def _no_hosts(self, event: events.NoHosts) -> None:
        self.say(f"skipping: no hosts matched {event.pattern}", "skipped")

    def _task(self, event: events.TaskStart) -> None:
        kind = "RUNNING HANDLER" if event.handler else "TASK"
        self._heading(f"{kind} [{event.name}]" + (" [CHECK MODE]" if event.check else ""))
        if self.verbosity >= 2:
            self.say(f"task path: {event.path}", "quiet")

    def _host(self, event: events.HostResult) -> None:
        result = event.result
        if "results" in result and event.status in ("ok", "changed", "skipped") and self.verbosity < 3:
            if event.status == "skipped" and not result["results"]:
                self.say(f"skipping: [{self._who(event)}]", "skipped")
            return
        if self.diff and "results" not in result:
            self._diff(result)
        self._status(event, "", event.speaks)
        if event.status == "failed":
            self._failure(event)
        if event.ignored:
            self.say("...ignoring", "ignored")

    def _failure(self, event: events.HostResult) -> None:
        if event.path:
            self.say(f"    at {event.path}", "place")

    def _item(self, event: events.ItemResult) -> None:
        if self.diff:
            self._diff(event.result)
        self._status(event, f" => (item={event.label})", event.speaks)

    def _status(self, event: events.HostResult | events.ItemResult, item: str, wanted: bool) -> None:
        prefix = PREFIX.get(event.status, event.status)
        if item and event.status == "failed":
            prefix = "failed"
        text = f"{prefix}: [{self._who(event)}]"
        if event.status in SAID:
            text += f":{item} {SAID[event.status]}" if not item else f"{item}"
        else:
            text += item
        what = event.status
        if event.status in ("failed", "unreachable") or wanted or self.verbosity >= 1:
            shown = list(values.lines(event.result, verbosity=self.verbosity))
            if shown:
                text += f" => {shown[0]}" if len(shown) == 1 else " =>" + "".join(f"\n    {line}" for line in shown)
        self.say(text, what)

    def _diff(self, result: Mapping[str, Any]) -> None:
        if "diff" not in result:
            return
        for line in difference.lines(result["diff"], self.style):
            self.stream.write(line + "\n")

    def _who(self, event: events.HostResult | events.ItemResult) -> str:
        return f"{event.host} -> {event.delegated}" if event.delegated else event.host

    def _retry(self, event: events.Retry) -> None:
        self.say(f"FAILED - RETRYING: [{event.host}]: {event.task} ({event.left} retries left).", "retry")

    def _included(self, event: events.Included) -> None:
        item = f" => (item={event.item})" if event.item is not None else ""
        self.say(f"included: {event.what} for {', '.join(event.hosts)}{item}", "included")

    def _message(self, event: events.Message) -> None:
        if event.level in ("debug", "info") and self.verbosity < (3 if event.level == "debug" else 1):
            return
        where = f" {event.host}:" if event.host else ""
        self.say(f"[{event.level.upper()}]{where} {event.text}", event.level)

    def _recap(self, event: events.Recap) -> None:
        if not event.hosts:
            return
        self._heading("PLAY RECAP")
        width = max(26, *(len(name) for name in event.hosts))
        for name, counts in event.hosts.items():
            what = (
                "failed"
                if counts["failed"]
                else "unreachable"
                if counts["unreachable"]
                else "changed"
                if counts["changed"]
                else "ok"
            )
            cells = " ".join(
                self.style.paint(f"{key}={counts[key]:<4}", key) if counts[key] else f"{key}={counts[key]:<4}"
                for key in counts
            )
            self.stream.write(f"{self.style.paint(f'{name:<{width}}', what)} : {cells.rstrip()}\n")
        if event.interrupted:
            self.say("interrupted: what was running has been ended", "warning")
        self.stream.write("\n")
