"""The links of a run: one for each endpoint, user and interpreter, opened when first needed and kept."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from shepherd.errors import Unreachable
from shepherd.transport import Endpoint, Transport, transport_for

if TYPE_CHECKING:
    from shepherd.engine.routes import Route
    from shepherd.link import Link
    from shepherd.sources import Source

HEAD_START = 0.005  # seconds by which the first task goes out before what is sent ahead


class Connections:
    """Opens each link once, however many tasks wait for it. Handshakes are capped by the transport, not here."""

    def __init__(self) -> None:
        self._transports: dict[Endpoint, asyncio.Task[Transport]] = {}
        self._links: dict[Route, asyncio.Task[Link]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._interpreters: dict[str, str] = {}

    async def transport(self, endpoint: Endpoint) -> Transport:
        """The connection itself, for what needs no helper (`raw`)."""
        opening = self._transports.get(endpoint)
        if opening is None:
            opening = self._transports[endpoint] = asyncio.create_task(_connect(endpoint))
        try:
            return await asyncio.shield(opening)
        except BaseException:
            if opening.done() and self._transports.get(endpoint) is opening:
                del self._transports[endpoint]
            raise

    async def link(self, route: Route) -> Link:
        """The helper at the end of `route`. Raises Unreachable or BecomeError."""
        opening = self._links.get(route)
        if opening is not None and not opening.done():
            return await asyncio.shield(opening)
        if opening is None:
            opening = self._links[route] = asyncio.create_task(self._open(route))
        try:
            return await asyncio.shield(opening)
        except BaseException:
            if opening.done() and self._links.get(route) is opening:
                del self._links[route]
            raise

    def has(self, route: Route) -> bool:
        return route in self._links

    def open_ahead(self, route: Route, modules: list[Source]) -> None:
        """Begin to open a link that will be asked for, and send `modules` on it behind the first task.

        One that fails is forgotten, so that asking tries again.
        """
        opening = self._links[route] = asyncio.create_task(self._open(route))

        def ended(task: asyncio.Task[Link]) -> None:
            if task.cancelled():
                return
            if task.exception() is None:
                self._sending.add(sending := asyncio.create_task(_send(task.result(), modules)))
                sending.add_done_callback(self._sending.discard)
            elif self._links.get(route) is task:
                del self._links[route]

        opening.add_done_callback(ended)

    async def _open(self, route: Route) -> Link:
        from shepherd.engine.routes import Route
        from shepherd.link import Link

        if route.become is None:
            link = await Link.open(await self.transport(route.endpoint), interpreter=route.interpreter)
            self._interpreters.setdefault(route.endpoint.host, str(link.hello.get("executable", "")))
            return link
        plain = await self.link(Route(route.endpoint, route.interpreter))
        if plain.hello.get("user") == route.become.user:
            return plain  # already that user: nothing to become
        return await plain.become(route.become)

    def interpreter_of(self, host: str) -> str | None:
        """The Python that a host's helper runs in, once there is one."""
        return self._interpreters.get(host)

    def drop(self, endpoint: Endpoint) -> None:
        """Forget an endpoint, so that the next task connects anew."""
        for route in [route for route in self._links if route.endpoint == endpoint]:
            task = self._links.pop(route)
            if task.done() and not task.cancelled() and task.exception() is None:
                task.result().close()
            else:
                task.cancel()
        transport = self._transports.pop(endpoint, None)
        if transport is not None:
            if transport.done() and not transport.cancelled() and transport.exception() is None:
                transport.result().close()
            else:
                transport.cancel()

    def close(self) -> None:
        """End every connection."""
        endpoints = {route.endpoint for route in self._links} | set(self._transports)
        for endpoint in endpoints:
            self.drop(endpoint)
        if any(endpoint.kind == "ssh" for endpoint in endpoints):
            from shepherd.transport import ssh

            ssh.close_all()  # jump hosts too


async def _send(link: Link, modules: list[Source]) -> None:
    await asyncio.sleep(HEAD_START)
    with contextlib.suppress(Unreachable):  # the task that is under way meets it too
        await link.send_ahead(modules)


async def _connect(endpoint: Endpoint) -> Transport:
    transport = transport_for(endpoint)
    await transport.connect()
    return transport
