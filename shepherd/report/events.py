"""What happens in a run, as data. The engine emits events; reports read nothing else.

Every event can be written as one JSON line: its fields are plain data and `asdict` is its form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "changed", "failed", "skipped", "unreachable", "included", "ignored", "rescued", "retry"]


@dataclass(frozen=True, slots=True)
class Event:
    def record(self) -> dict[str, Any]:
        """The event as plain data, its type under `event`."""
        return {"event": type(self).__name__, **asdict(self)}


@dataclass(frozen=True, slots=True)
class PlaybookStart(Event):
    path: str


@dataclass(frozen=True, slots=True)
class PlayStart(Event):
    name: str
    hosts: list[str]
    check: bool = False


@dataclass(frozen=True, slots=True)
class NoHosts(Event):
    """A play whose pattern matched nothing: said, and passed over."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class TaskStart(Event):
    """A task begins on the first of its hosts. `name` is rendered, with the role's name before it (`role : name`)."""

    name: str
    action: str
    path: str  # file:line
    handler: bool = False
    check: bool = False


@dataclass(frozen=True, slots=True)
class ItemResult(Event):
    """One item of a loop has its answer."""

    host: str
    task: str
    status: Status
    item: Any
    label: str
    result: dict[str, Any] = field(default_factory=dict)
    delegated: str | None = None
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class HostResult(Event):
    """A host has finished a task. `result` is what `register` would keep, secrets already removed (`no_log`).

    A loop's HostResult follows its ItemResults and carries `results`. `ignored`: it failed and play goes on.
    """

    host: str
    task: str
    action: str
    status: Status
    result: dict[str, Any] = field(default_factory=dict)
    delegated: str | None = None
    ignored: bool = False
    path: str = ""
    seconds: float = 0.0
    diff: bool = False  # the result's "diff" is to be shown


@dataclass(frozen=True, slots=True)
class Retry(Event):
    """An `until` that does not hold yet."""

    host: str
    task: str
    left: int
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Included(Event):
    """A file or role was included for these hosts."""

    what: str
    hosts: list[str]
    item: Any = None


@dataclass(frozen=True, slots=True)
class Output(Event):
    """Output of a task while it still runs."""

    host: str
    task: str
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Message(Event):
    """A word of the engine's to the user: `level` is warning, deprecation, info or debug (shown from -v on)."""

    level: str
    text: str
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Recap(Event):
    """The end: for each host ok, changed, unreachable, failed, skipped, rescued and ignored."""

    hosts: dict[str, dict[str, int]]
    seconds: float = 0.0
    interrupted: bool = False


Emit = Callable[[Event], None]
