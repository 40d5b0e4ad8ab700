"""A link: one helper at the far end of a pipe, and the requests under way to it.

Everything runs in the event loop. Requests are numbered; an answer finds its request by the number, so many can be
under way at once. A request and all it needs (the module's source, a small upload) leave in one write.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from shepherd import boot, sources
from shepherd.errors import RemoteError, ShepherdError, Unreachable
from shepherd.origin import printable
from shepherd.remote import wire
from shepherd.shipped import Shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shepherd.become import Become
    from shepherd.relay_pipe import RelayPipe
    from shepherd.sources import Source
    from shepherd.transport import Pipe, Transport

START_TIMEOUT = 60.0  # seconds from the command to the hello; a login shell's start-up files run in between
WINDOW = 16  # pieces of 64 KiB of all uploads that may be on their way: what another request waits behind at most
GRANT = 4  # after so many pieces the helper is asked to tell that it took them
NOISE = 8 * 1024  # bytes kept of what a login shell prints before the helper speaks


class _Request:
    """A request that has no answer yet."""

    __slots__ = ("future", "on_data", "on_output", "tails")

    def __init__(self, future: asyncio.Future[dict[str, Any]]) -> None:
        self.future = future
        self.on_output: Callable[[str, bytes], None] | None = None
        self.on_data: Callable[[bytes], None] | None = None
        self.tails: dict[str, bytes] = {}


class Link:
    """Made by `Link.open` or `Link.become`."""

    # of the helper: python ([3, 11, 2]), bytecode (its magic number), executable, user, uid, pid, and address: its own
    # end of the SSH connection, or ""
    hello: dict[str, Any]

    def __init__(self, pipe: Pipe, host: str, token: str, interpreter: str | None) -> None:
        self.host = host
        self.interpreter = interpreter  # as it was asked for
        self._pipe = pipe
        self._mark: bytes | None = f"shepherd:{token}\n".encode()
        self._noise = bytearray()
        self._decoder = wire.Decoder()
        self._requests: dict[int, _Request] = {}
        self._last = 0
        self._shipped = Shipped()
        self._writing = asyncio.Lock()
        self._window = asyncio.Semaphore(WINDOW)  # whole pieces of uploads that may leave, in turn
        self._pieces = 0  # that have left
        self._gathered = bytearray()  # frames that go out together
        self._cancelling: set[asyncio.Task[None]] = set()
        self._broken: Unreachable | None = None
        self._greeted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, transport: Transport, *, interpreter: str | None = None) -> Self:
        """Start a helper over a connected transport.

        interpreter  a path or words; None or `auto…`: found on the target, in the same exec.
        Raises NoPython, and Unreachable with what the login shell said where no helper answers.
        """
        token = os.urandom(8).hex()
        text = sources.boot()
        pipe = await transport.open(boot.command(interpreter, token, len(text)))
        host = getattr(getattr(transport, "endpoint", None), "host", None) or "the host"
        return await cls.over(pipe, host, token, interpreter, text)

    @classmethod
    async def over(cls, pipe: Pipe, host: str, token: str, interpreter: str | None, text: bytes = b"") -> Self:
        """The link to a helper that is being started at the far end of `pipe`: it waits for boot.py, if given here."""
        link = cls(pipe, host, token, interpreter)
        await link._start(text)
        return link

    async def _start(self, text: bytes) -> None:
        self._pipe.start(self._received, self._closed)
        try:
            try:
                await self._pipe.write(text)
            except Unreachable:
                self._greet(False)  # the shell has ended; what it said tells more than a broken pipe
            async with asyncio.timeout(START_TIMEOUT):
                greeted = await self._greeted
            if not greeted:
                raise await self._no_hello()
            await self._write(sources.core(self.hello["bytecode"]))
        except TimeoutError:
            self.close()
            raise Unreachable(
                f"no helper answered on {self.host} within {START_TIMEOUT:.0f} seconds{self._heard()}",
                hint="does the login shell of this user wait for something in its start-up files?",
            ) from None
        except BaseException:
            self.close()
            raise

    def _greet(self, success: bool) -> None:
        if not self._greeted.done():
            self._greeted.set_result(success)

    async def _no_hello(self) -> ShepherdError:
        status = None
        with contextlib.suppress(TimeoutError):  # it closed its output, but may go on
            async with asyncio.timeout(5):
                status = await self._pipe.wait()
        return boot.failure(self.host, self.interpreter, status, self._heard(), self._pipe.errors)

    def _heard(self) -> str:
        """What the far end printed that is no frame, for an error message."""
        said = b"\n".join(part.strip() for part in (bytes(self._noise), self._pipe.errors[-NOISE:]) if part.strip())
        return f"; it said: {printable(said.decode('utf-8', 'replace'))}" if said else ""

    # Requests

    async def run(
        self,
        module: Source,
        args: dict[str, Any],
        *,
        check: bool = False,
        diff: bool = False,
        environment: dict[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 RUF100  # kept by the helper, which ends the processes
        upload: bytes | BinaryIO | None = None,
        on_output: Callable[[str, bytes], None] | None = None,
        lane: int | None = None,
    ) -> dict[str, Any]:
        """Run a module in a process of its own and return its result.

        upload     the content that the module finds as `task.upload`
        timeout    seconds; then the module's processes are ended and the result is a failure with `timedout`
        on_output  called with "stdout" or "stderr" and bytes while the module runs
        lane       runs of one lane follow one another on the target, in the order in which they are asked for here

        A module that raised is a failed result with msg, exception, module_stdout and module_stderr. Cancelling the
        awaiting task ends the module's processes. Raises Unreachable when the connection breaks.
        """
        head: dict[str, Any] = {"module": module.name, "args": args}
        if check:
            head["check"] = True
        if diff:
            head["diff"] = True
        if environment:
            head["environment"] = environment
        if timeout:
            head["timeout"] = timeout
        if on_output is not None:
            head["output"] = True
        if lane is not None:
            head["lane"] = lane
        number, request = self._new()
        request.on_output = on_output
        front = self.lacking(module)
        try:
            if upload is not None:
                head["upload"] = True
                front = await self._upload(number, request, upload, front)
            if not request.future.done():  # it may have failed already: no room for the upload
                await self._write(front + wire.encode(wire.RUN, number, head), gather=lane is not None)
            result = await request.future
        except RemoteError as error:
            return {"failed": True, "changed": False, "msg": error.message}
        except BaseException:
            self._abandon(number)
            raise
        for stream, tail in request.tails.items():
            result.setdefault(f"module_{stream}", tail.decode("utf-8", "surrogateescape"))
        if "exception" in result:
            result["exception"] = self._shipped.with_lines(str(result["exception"]))
        return result

    async def get(self, path: str, sink: Callable[[bytes], None], *, offset: int = 0) -> dict[str, Any]:
        """Fetch a file: `sink` is called with each piece. Returns size (bytes) and checksum (SHA-1, hexadecimal).

        With `offset` (bytes) all that is about what comes from there on.

        Raises RemoteError where the file cannot be read; what `sink` raises ends the request and is raised here.
        """
        head = {"path": path, "offset": offset} if offset else {"path": path}
        return await self._ask(wire.GET, head, "shepherd.remote.download", sink)

    async def become(self, wanted: Become) -> Link:
        """A second helper, as another user, through this one. Raises BecomeError. Closing this link ends it too."""
        from shepherd.become import become

        return await become(self, wanted)

    def relay(self, head: dict[str, Any]) -> RelayPipe:
        """The pipe of a command started by the helper; `head` is that of an OPEN frame (shepherd/remote/relay.py)."""
        from shepherd.relay_pipe import RelayPipe

        return RelayPipe(self, head)

    async def send_ahead(self, modules: Iterable[Source]) -> None:
        """Send modules that will be run soon: the helper imports them in its idle moments."""
        frames = b"".join(self.lacking(module, ahead=True) for module in modules)
        if frames:
            await self._write(frames)

    async def ping(self) -> None:
        """A round trip to the helper, which runs nothing."""
        await self._ask(wire.PING, {})

    async def _ask(
        self, kind: int, head: dict[str, Any], needs: str | None = None, on_data: Callable[[bytes], None] | None = None
    ) -> dict[str, Any]:
        number, request = self._new()
        request.on_data = on_data
        front = self.lacking(sources.target(needs)) if needs else b""
        try:
            await self._write(front + wire.encode(kind, number, head))
            return await request.future
        except BaseException:
            self._abandon(number)
            raise

    def close(self) -> None:
        """End the helper and everything that it runs. May be called twice."""
        self._fail(Unreachable(f"the connection to {self.host} was closed"))
        self._pipe.close()

    # Sending

    def _new(self) -> tuple[int, _Request]:
        if self._broken is not None:
            raise self._broken
        self._last += 1
        request = self._requests[self._last] = _Request(asyncio.get_running_loop().create_future())
        return self._last, request

    def lacking(self, module: Source, *, ahead: bool = False) -> bytes:
        """The frames with what the helper does not have yet of a module and its closure, to go out with its request."""
        return self._shipped.frames(module, self.hello["bytecode"], ahead=ahead)

    async def _upload(self, number: int, request: _Request, upload: bytes | BinaryIO, front: bytes) -> bytes:
        """Send all of the upload but the last frame, which is returned to go out with the request itself.

        It is read as the helper takes it, so that other requests wait behind a window of it at most, and so does it.
        """
        stream = io.BytesIO(upload) if isinstance(upload, bytes) else upload
        piece = stream.read(wire.CHUNK)
        front += self.lacking(sources.target("shepherd.remote.upload"))
        head: dict[str, Any] = {"first": True}
        while len(piece) == wire.CHUNK and not request.future.done():
            await self._window.acquire()
            try:
                following = stream.read(wire.CHUNK)
                self._pieces += 1
                if not self._pieces % GRANT:
                    head["tell"] = True
                # it goes out whole even where the task is cancelled now: half of it would spoil the link
                await asyncio.shield(self._write(front + wire.encode(wire.PUT, number, head, piece)))
            except asyncio.CancelledError:
                raise
            except BaseException:  # it has not left, or the link is broken and the next that waits must learn of it
                self._window.release()
                raise
            front, head, piece = b"", {}, following
        return front + wire.encode(wire.PUT, number, head, piece)

    async def _write(self, data: bytes, *, gather: bool = False) -> None:
        """Send frames. `gather`: with what others want to send in this turn of the event loop, in one write."""
        if self._broken is not None:
            raise self._broken
        if gather:
            self._gathered += data
            await asyncio.sleep(0)
        async with self._writing:
            if gather:
                data, self._gathered = bytes(self._gathered), bytearray()
                if not data:
                    return  # another has taken it along
            try:
                await self._pipe.write(data)
            except asyncio.CancelledError:
                # half a frame may have left: nothing that follows could be understood
                self._fail(Unreachable(f"the connection to {self.host} was given up in the middle of a message"))
                self._pipe.close()
                raise

    def _abandon(self, number: int) -> None:
        """Nobody waits for this answer any more: have the helper end what runs for it."""
        if self._requests.pop(number, None) is None or self._broken is not None:
            return

        async def cancel() -> None:
            with contextlib.suppress(Unreachable):  # where it broke, what runs there ends by itself
                await self._write(wire.encode(wire.CANCEL, number))

        task = asyncio.get_running_loop().create_task(cancel())
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    # Receiving

    def _received(self, data: bytes) -> None:
        if self._mark is not None:
            self._noise += data
            before, mark, after = self._noise.partition(self._mark)
            if not mark:
                del self._noise[: -NOISE - len(self._mark)]
                return
            self._mark, self._noise, data = None, before, bytes(after)
        try:
            frames = self._decoder.feed(data)
        except (wire.WireError, ValueError) as error:
            self._fail(
                Unreachable(
                    f"what came from {self.host} is no answer of the helper: {error}",
                    hint="does a background job of the login shell print into the connection?",
                )
            )
            self._pipe.close()
            return
        for kind, number, head, body in frames:
            if kind == wire.HELLO:
                self.hello = head
                self._greet(True)
                continue
            if kind == wire.TAKEN:
                for _ in range(GRANT):
                    self._window.release()
                continue
            request = self._requests.get(number)
            if request is None:
                continue  # cancelled; this was on its way
            if kind == wire.RESULT or kind == wire.REFUSED:
                del self._requests[number]
                if request.future.done():
                    continue
                if kind == wire.RESULT:
                    request.future.set_result(head)
                else:
                    request.future.set_exception(RemoteError(head.get("msg", "refused"), head))
            else:
                self._pass_on(number, request, kind, head, body)

    def _pass_on(self, number: int, request: _Request, kind: int, head: dict[str, Any], body: bytes) -> None:
        try:
            if kind == wire.DATA and request.on_data is not None:
                request.on_data(body)
            elif kind == wire.OUTPUT and head.get("tail"):
                request.tails[head["stream"]] = body
            elif kind == wire.OUTPUT and request.on_output is not None:
                request.on_output(head["stream"], body)
        except Exception as error:  # noqa: BLE001  # it is the caller's: a full disk, say; it belongs to that request alone
            self._abandon(number)
            if not request.future.done():
                request.future.set_exception(error)

    def _closed(self) -> None:
        self._greet(False)
        self._fail(
            self._pipe.silent()
            or Unreachable(
                f"the connection to {self.host} ended{self._heard()}",
                hint="the network, a restart, or its sshd; what was running there is ended: run the play again",
            )
        )

    def _fail(self, error: Unreachable) -> None:
        """The link is of no use any more: every request that waits is told."""
        if self._broken is None:
            self._broken = error
            self._window.release()
        waiting, self._requests = self._requests, {}
        for request in waiting.values():
            if not request.future.done():
                request.future.set_exception(self._broken)
                request.future.exception()  # seen: one whose upload has just failed is not waited for any more
