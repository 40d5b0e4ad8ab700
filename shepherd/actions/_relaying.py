"""Images that hosts give to one another, so that the controller sends each blob to one of them.

A host that lacks an image waits for one that has it, of which each gives it to a few at a time; where nobody has it and
nobody is getting it, it is the one to whom the controller sends it. Hosts that have it are asked when somebody needs
it, and give it while hosts are at the task: where all have it already, nothing of this happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from shepherd import sources
from shepherd.actions import _certificate, _runtime
from shepherd.engine.routes import Route
from shepherd.errors import ShepherdError, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shepherd.actions._images import Image
    from shepherd.engine.connections import Connections
    from shepherd.engine.run import Run
    from shepherd.engine.step import Step
    from shepherd.sources import Source
    from shepherd.transport import Endpoint

ADDRESS = "shepherd_relay_address"  # a variable: the address at which a host listens for others
AT_ONCE = 2  # hosts that one host gives an image to at a time
DOUBTS = 2  # failures without any success after which a host is not asked again, and hosts are left alone altogether
START = 30.0  # seconds for a host to begin
PATIENCE = 1.0  # seconds to hear from other hosts whether they have it, before the controller sends it

# Of a run, by the digests of an image's blobs: what one name means may be other ones for another kind of machine
_relays: WeakKeyDictionary[Run, dict[frozenset[str], Relay]] = WeakKeyDictionary()


@dataclass(eq=False)
class Peer:
    """A host that has the image. `failures`: of those that it gave nothing to."""

    host: str
    route: Route
    address: str
    source: Source
    environment: Mapping[str, str]
    failures: int = 0
    delivered: bool = False
    opening: asyncio.Task[dict[str, str]] | None = None  # what others are told: url, certificate, token
    serving: asyncio.Task[dict[str, Any]] | None = None


@dataclass(eq=False)
class Relay:
    """Who has an image, who waits for it, and how many are getting it."""

    image: Image
    connections: Connections
    inside: int = 0
    asked: int = 0  # of those inside, who have not answered whether they have it
    impatient: bool = False
    timer: asyncio.TimerHandle | None = None
    getting: int = 0
    failures: int = 0
    delivered: bool = False
    peers: dict[Endpoint, Peer] = field(default_factory=dict)
    offers: deque[Peer] = field(default_factory=deque)  # each as often as it has room for others
    waiting: deque[asyncio.Future[Peer | None]] = field(default_factory=deque)

    # Where to get it

    async def source(self) -> Peer | None:
        """The host to get it from; None: the controller. `got` follows in any case."""
        turn: asyncio.Future[Peer | None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        self._hand_out()
        if not turn.done() and self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(PATIENCE, self._lose_patience)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(turn.result())
                self.got()
            raise

    def release(self, peer: Peer | None) -> None:
        """It has room for another."""
        if peer is not None:
            self.offers.append(peer)
            self._hand_out()

    def got(self) -> None:
        """One that was given a source has the image now, or gave up."""
        self.getting -= 1
        self._hand_out()

    def judge(self, peer: Peer, *, delivered: bool) -> None:
        """Whether anything came from it. Where firewalls are between hosts, not all of them have to find out."""
        if delivered:
            self.delivered = peer.delivered = True
        else:
            self.failures += 1
            peer.failures += 1

    def _hand_out(self) -> None:
        while self.waiting:
            if self.waiting[0].done():  # cancelled
                self.waiting.popleft()
                continue
            peer = self._offer()
            if peer is None and self._is_hopeful and (self.getting or (self.asked and not self.impatient)):
                return  # somebody will have it soon, or has it
            self.getting += 1
            self.waiting.popleft().set_result(peer)

    @property
    def _is_hopeful(self) -> bool:
        return self.delivered or self.failures < DOUBTS

    def _lose_patience(self) -> None:
        self.impatient = True
        self._hand_out()

    def _offer(self) -> Peer | None:
        if not self._is_hopeful:
            return None
        while self.offers:
            peer = self.offers.popleft()
            known = self.peers.get(peer.route.endpoint) is peer
            gone = peer.serving is not None and peer.serving.done()
            doubtful = peer.failures >= DOUBTS and not peer.delivered
            if known and not gone and not doubtful and self.connections.has(peer.route):
                return peer
            if known:
                del self.peers[peer.route.endpoint]
        return None

    # Who has it

    def answered(self) -> None:
        """One that was asked whether it has the image has said so, or will not."""
        self.asked -= 1
        self._hand_out()

    async def has(self, step: Step) -> None:
        """The step's host has the image, and may be asked for it."""
        route = await step.worked_out(step.route)
        if route.endpoint in self.peers:
            return
        try:
            plain = await self.connections.link(Route(route.endpoint, route.interpreter))
        except Unreachable:
            return  # the next task meets it, too
        address = str(await step.worked_out(step.scope.get, ADDRESS) or plain.hello.get("address") or "")
        if not address or "%" in address:
            return  # none, or one of a link alone, which others would need another zone for (RFC 4007)
        source = sources.module(step.spec.path, step.spec.name)
        self.add(Peer(step.state.name, route, address, source, dict(step.environment)))

    def add(self, peer: Peer) -> None:
        """A host that may be asked for it."""
        self.peers[peer.route.endpoint] = peer
        self.offers.extend([peer] * AT_ONCE)
        self._hand_out()

    async def told(self, peer: Peer) -> dict[str, str]:
        """What another host needs to get it from this one, which begins to give it. Raises ShepherdError."""
        if peer.opening is None:
            peer.opening = asyncio.create_task(self._open(peer))
        return await asyncio.shield(peer.opening)

    async def _open(self, peer: Peer) -> dict[str, str]:
        key, certificate = _certificate.make()
        token = secrets.token_hex(32)
        given = {"address": peer.address, "key": key, "certificate": certificate, "token": token}
        args = {"_serve": {**given, "blobs": self.image.blobs}, "_runtime": _runtime.version()}
        said: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        peer.serving = asyncio.create_task(self._serve(peer, args, said))
        either: list[asyncio.Future[Any]] = [said, peer.serving]
        await asyncio.wait(either, timeout=START, return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            ended = peer.serving.done()
            peer.serving.cancel()
            raise ShepherdError(str(peer.serving.result().get("msg")) if ended else "it does not begin")
        host = f"[{peer.address}]" if ":" in peer.address else peer.address
        return {"url": f"https://{host}:{said.result()}", "certificate": certificate, "token": token}

    async def _serve(self, peer: Peer, args: dict[str, Any], said: asyncio.Future[int]) -> dict[str, Any]:
        """Until it is cancelled, or the host is gone: how it ended."""
        printed = bytearray()

        def on_output(stream: str, data: bytes) -> None:
            if stream == "stdout" and not said.done():
                printed.extend(data)
                if printed.endswith(b"\n"):
                    said.set_result(int(printed))

        try:
            link = await self.connections.link(peer.route)
            return await link.run(peer.source, args, environment=dict(peer.environment) or None, on_output=on_output)
        except ShepherdError as error:
            return {"failed": True, "msg": error.message}

    async def stop(self) -> None:
        """Nobody is at the task: nobody gives it any more."""
        self.impatient = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        tasks = [task for peer in self.peers.values() for task in (peer.opening, peer.serving) if task is not None]
        for peer in self.peers.values():
            peer.opening = peer.serving = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def joined(step: Step, image: Image) -> AsyncIterator[Relay]:
    """The image's relay, for a step that is at it."""
    relays = _relays.setdefault(step.run, {})
    digests = frozenset(digest for digest, _size in image.blobs)
    if digests not in relays:
        relays[digests] = Relay(image, step.run.connections)
    relay = relays[digests]
    relay.inside += 1
    try:
        yield relay
    finally:
        relay.inside -= 1
        if not relay.inside:
            await relay.stop()
