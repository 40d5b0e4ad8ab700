"""Plain lines: plays, tasks and hosts as they come, in the layout that Ansible's users know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.report import difference, events, messages, values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shepherd.report import Wishes
    from shepherd.report.stream import Stream
    from shepherd.report.style import Style

WIDTH = 79
PREFIX = {"failed": "fatal", "unreachable": "fatal", "skipped": "skipping"}  # others are called what they are
SAID = {"failed": ": FAILED!", "unreachable": ": UNREACHABLE!"}
INCLUDES = ("include_tasks", "include_role")  # what came of them is said when they have been read
WORST = ("failed", "unreachable", "changed", "ok")  # what a host's name is painted as in the recap


class Lines:
    """`out` is the report, `notes` the warnings."""

    def __init__(self, out: Stream, notes: Stream, style: Style, wishes: Wishes) -> None:
        self.out = out
        self.style = style
        self._notes = notes
        self._verbosity = wishes.verbosity
        self._diff = wishes.diff
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
            self.out.flush()

    def close(self) -> None:
        self.out.flush()

    def say(self, text: str, what: str = "info") -> None:
        """One or more whole lines."""
        self.out.write(self.style.paint(text, what) + "\n")

    def _heading(self, text: str) -> None:
        self.out.write("\n")
        self.say(f"{text} {'*' * max(WIDTH - len(text), 3)}", "heading")

    def _play(self, event: events.PlayStart) -> None:
        self._heading(f"PLAY [{event.name}]" + (" [CHECK MODE]" if event.check else ""))

    def _no_hosts(self, _: events.NoHosts) -> None:
        self.say("skipping: no hosts matched", "skipped")

    def _task(self, event: events.TaskStart) -> None:
        kind = "RUNNING HANDLER" if event.handler else "TASK"
        self._heading(f"{kind} [{event.name}]" + (" [CHECK MODE]" if event.check else ""))
        if self._verbosity >= 2:
            self.say(f"task path: {event.path}", "quiet")

    def _host(self, event: events.HostResult) -> None:
        result = event.result
        items = result.get("results")  # of a loop: each has been shown
        if not items:
            self._difference(result)
        if event.status == "ok" and event.action in INCLUDES:
            return
        if not items or event.status == "unreachable" or self._verbosity >= 3:
            self._status(event, "")
        if event.status == "failed" and event.path:
            self.say(f"    at {event.path}", "place")
        if self._verbosity >= 2:
            self.say(f"    {event.seconds:.2f} s", "quiet")
        if event.ignored:
            self.say("...ignoring", "ignored")

    def _item(self, event: events.ItemResult) -> None:
        self._difference(event.result)
        if event.status != "ok" or event.action not in INCLUDES:
            self._status(event, f"(item={event.label})")

    def _status(self, event: events.HostResult | events.ItemResult, item: str) -> None:
        status = event.status
        prefix = "failed" if item and status == "failed" else PREFIX.get(status, status)
        text = f"{prefix}: [{self._who(event)}]"
        if item:
            text += f" {item}" if status in SAID else f" => {item}"
        else:
            text += SAID.get(status, "")
        if status in SAID or event.speaks or self._verbosity >= 1:
            shown = list(values.lines(event.result, verbosity=self._verbosity))
            if shown:
                text += f" => {shown[0]}" if len(shown) == 1 else " =>" + "".join(f"\n    {line}" for line in shown)
        self.say(text, status)

    def _difference(self, result: Mapping[str, Any]) -> None:
        if self._diff and "diff" in result:
            difference.write(result["diff"], self.out, self.style)

    def _who(self, event: events.HostResult | events.ItemResult) -> str:
        return f"{event.host} -> {event.delegated}" if event.delegated else event.host

    def _retry(self, event: events.Retry) -> None:
        self.say(f"FAILED - RETRYING: [{event.host}]: {event.task} ({event.left} retries left).", "retry")

    def _included(self, event: events.Included) -> None:
        item = f" => (item={event.item})" if event.item is not None else ""
        self.say(f"included: {event.what} for {', '.join(event.hosts)}{item}", "included")

    def _message(self, event: events.Message) -> None:
        messages.say(event, self.out, self._notes, self.style, self._verbosity)

    def _recap(self, event: events.Recap) -> None:
        self._heading("PLAY RECAP")
        for name, counts in event.hosts.items():
            what = next(each for each in WORST if counts[each] or each == "ok")
            cells = (self.style.paint(f"{key}={counts[key]:<4}", key if counts[key] else "none") for key in counts)
            self.out.write(f"{self.style.paint(f'{name:<26}', what)} : {' '.join(cells)}\n")
        for name, found in event.ailing.items():
            self.say(f"{name:<26} : {'; '.join(found)}", "warning")
        if event.interrupted:
            self.say("interrupted: what was running has been ended", "warning")
        self.out.write("\n")
