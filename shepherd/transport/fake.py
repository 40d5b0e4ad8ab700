"""A host that is only pretended, for tests of what stands above the link: no process, no socket, no fork.

    transport = FakeTransport(lambda module, args: {"changed": False})
    link = await Link.open(transport)

It speaks the frames of a helper. `runs` are the runs it was asked for; `drop()` breaks the connection.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shepherd import sources
from shepherd.errors import Unreachable
from shepherd.remote import wire
from shepherd.transport import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = Callable[[str, dict[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class FakeRun:
    """A run as the host saw it. `module` is the short name; `upload` None where none came."""

    module: str
    args: dict[str, Any]
    user: str
    check: bool = False
    diff: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    upload: bytes | None = None


class FakeTransport:
    """`answer(module, args)` gives each run's result; None: never an answer. `files` are what `get` finds."""

    def __init__(
        self, answer: Answer, *, host: str = "fake", user: str = "tester", files: dict[str, bytes] | None = None
    ) -> None:
        self.endpoint = Endpoint(host, host, kind="fake")
        self.answer = answer
        self.user = user
        self.files = files or {}
        self.runs: list[FakeRun] = []
        self.cancelled = 0
        self.connected = False
        self._pipes: list[FakePipe] = []

    async def connect(self) -> None:
        self.connected = True

    async def open(self, command: str) -> FakePipe:
        pipe = FakePipe(self, command, self.user)
        self._pipes.append(pipe)
        return pipe

    def drop(self) -> None:
        """Break the connection, as when a cable is pulled."""
        for pipe in self._pipes:
            pipe.drop()

    def close(self) -> None:
        self.connected = False
        self.drop()


class FakePipe:
    def __init__(self, host: FakeTransport, command: str, user: str, boot: bool = True) -> None:
        self._host = host
        self._user = user
        self._token = command.rpartition("shepherd-helper ")[2].split(";")[0].strip("'\" ")
        self._skip = (len(sources.boot()) if boot else 0) + len(sources.core(""))
        self._decoder = wire.Decoder()
        self._uploads: dict[int, bytes] = {}
        self._inner: dict[int, FakePipe] = {}
        self._open = True
        self._heads: dict[int, Callable[[int, dict[str, Any], bytes], None]] = {
            wire.RUN: self._run,
            wire.PUT: self._put,
            wire.GET: self._get,
            wire.OPEN: self._become,
            wire.DATA: self._data,
            wire.CANCEL: self._cancel,
            wire.PING: lambda number, head, body: self._send(wire.RESULT, number, {}),  # noqa: ARG005
            wire.SOURCE: lambda number, head, body: None,  # noqa: ARG005
        }

    def start(self, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_data, self._on_close = on_data, on_close
        hello = {"python": [3, 11, 2], "bytecode": "", "executable": "/usr/bin/python3", "user": self._user}
        mark = f"shepherd:{self._token}\n".encode()
        self._loop.call_soon(self._deliver, mark + wire.encode(wire.HELLO, 0, {**hello, "uid": 1000, "pid": 1}))

    async def write(self, data: bytes) -> None:
        if not self._open:
            raise Unreachable(f"the connection to {self._host.endpoint.host} was dropped")
        self._take(data)

    def _take(self, data: bytes) -> None:
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        for kind, number, head, body in self._decoder.feed(data[skipped:]):
            self._heads[kind](number, head, body)

    @property
    def errors(self) -> bytes:
        return b""

    def silent(self) -> None:
        """It never is."""

    async def wait(self) -> int | None:
        return None

    def close(self) -> None:
        self._open = False

    def drop(self) -> None:
        if self._open:
            self._open = False
            self._loop.call_soon(self._on_close)

    def _deliver(self, data: bytes) -> None:
        if self._open:
            self._on_data(data)

    def _send(self, kind: int, number: int, head: dict[str, Any] | None = None, body: bytes = b"") -> None:
        self._loop.call_soon(self._deliver, wire.encode(kind, number, head, body))

    def _run(self, number: int, head: dict[str, Any], _: bytes) -> None:
        run = FakeRun(
            head["module"].rpartition(".")[2],
            head["args"],
            self._user,
            head.get("check", False),
            head.get("diff", False),
            head.get("environment", {}),
            self._uploads.pop(number, None),
        )
        self._host.runs.append(run)
        result = self._host.answer(run.module, run.args)
        if result is not None:
            self._send(wire.RESULT, number, result)

    def _put(self, number: int, head: dict[str, Any], body: bytes) -> None:
        self._uploads[number] = self._uploads.get(number, b"") + body
        if head.get("tell"):
            self._send(wire.TAKEN, number)

    def _get(self, number: int, head: dict[str, Any], _: bytes) -> None:
        import hashlib

        content = self._host.files.get(head["path"])
        if content is None:
            self._send(wire.REFUSED, number, {"msg": f"[Errno 2] No such file or directory: '{head['path']}'"})
            return
        for start in range(0, len(content), wire.CHUNK):
            self._send(wire.DATA, number, None, content[start : start + wire.CHUNK])
        checksum = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self._send(wire.RESULT, number, {"size": len(content), "checksum": checksum})

    def _become(self, number: int, head: dict[str, Any], _: bytes) -> None:
        words = head["argv"]
        user = words[words.index("-u") + 1] if "-u" in words else words[words.index("-c") - 1]
        inner = self._inner[number] = FakePipe(self._host, " ".join(words), user, boot=False)
        inner.start(lambda data: self._send(wire.DATA, number, None, data), lambda: None)

    def _data(self, number: int, _: dict[str, Any], body: bytes) -> None:
        self._inner[number]._take(body)

    def _cancel(self, number: int, *_: Any) -> None:
        self._host.cancelled += 1
        self._inner.pop(number, None)
