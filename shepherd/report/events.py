"""What happens in a run, as data. The engine emits events; reports read nothing else.

Every event can be written as one JSON line: its fields are plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Status = Literal["ok", "changed", "failed", "skipped", "unreachable"]

NOTHING: Mapping[str, Any] = MappingProxyType({})


class PlaybookStart(NamedTuple):
    path: str


class PlayStart(NamedTuple):
    name: str
    hosts: list[str]
    check: bool = False


class NoHosts(NamedTuple):
    """A play whose pattern matched nothing: said, and passed over."""

    name: str
    pattern: str


class TaskStart(NamedTuple):
    """A task begins on the first of its hosts. `name` is rendered, with the role's name before it (`role : name`)."""

    name: str
    action: str
    path: str  # file:line
    handler: bool = False
    check: bool = False


class ItemResult(NamedTuple):
    """One item of a loop has its answer."""

    host: str
    task: str
    status: Status
    item: Any
    label: str
    result: Mapping[str, Any] = NOTHING
    delegated: str | None = None
    ignored: bool = False
    speaks: bool = False
    action: str = ""


class HostResult(NamedTuple):
    """A host has finished a task. `result` is what `register` would keep, secrets already removed (`no_log`).

    A loop's HostResult follows its ItemResults and carries `results`. `ignored`: it failed and the play goes on.
    `speaks`: the answer is the point of the task (debug), and to be shown also when all is well.
    """

    host: str
    task: str
    action: str
    status: Status
    result: Mapping[str, Any] = NOTHING
    delegated: str | None = None
    ignored: bool = False
    path: str = ""
    seconds: float = 0.0
    speaks: bool = False


class Retry(NamedTuple):
    """An `until` that does not hold yet."""

    host: str
    task: str
    left: int
    result: Mapping[str, Any] = NOTHING


class Included(NamedTuple):
    """A file or role was included for these hosts."""

    what: str
    hosts: list[str]
    item: Any = None


class Message(NamedTuple):
    """A word of the engine's to the user: `level` is error, warning, deprecation, info or debug."""

    level: str
    text: str
    host: str | None = None


class Prompt(NamedTuple):
    """A question is put to the person at the terminal; it stands there until it is `answered` (or nobody will)."""

    text: str
    answered: bool = False


class Recap(NamedTuple):
    """The end: for each host ok, changed, unreachable, failed, skipped, rescued and ignored.

    `ailing`: by host, a sentence for each container that is not well.
    """

    hosts: dict[str, dict[str, int]]
    seconds: float = 0.0
    interrupted: bool = False
    ailing: Mapping[str, list[str]] = NOTHING


Event = (
    PlaybookStart
    | PlayStart
    | NoHosts
    | TaskStart
    | ItemResult
    | HostResult
    | Retry
    | Included
    | Message
    | Prompt
    | Recap
)
Emit = Callable[[Event], None]


def record(event: Event) -> dict[str, Any]:
    """The event as plain data, its type under `event`."""
    return {"event": type(event).__name__, **event._asdict()}
