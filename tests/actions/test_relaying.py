"""Who gets an image from whom: nobody waits in vain, no host gives to more than a few, and most get it early."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.actions._images import Image
from shepherd.actions._relaying import AT_ONCE, DOUBTS, Peer, Relay
from shepherd.engine.connections import Connections
from shepherd.engine.routes import Route
from shepherd.sources import Source
from shepherd.transport import Endpoint


class Fleet:
    """Hosts that all lack an image. Each transfer takes one round; `outcomes` say how those of a host end."""

    def __init__(self, outcomes: list[str]) -> None:
        self.connections = Connections()
        self.relay = Relay(Image("", {}, []), self.connections)
        self.outcomes = outcomes
        self.rounds = 0
        self.from_controller = 0
        self.giving: dict[str, int] = {}
        self._under_way: list[asyncio.Future[None]] = []

    async def play(self) -> None:
        hosts = [asyncio.create_task(self._host(str(number), how)) for number, how in enumerate(self.outcomes)]
        while True:
            for _turn in range(5):
                await asyncio.sleep(0)
            if all(host.done() for host in hosts):
                break
            for number, how in enumerate(self.outcomes):
                if how == "cancelled" and number % 3 == self.rounds:
                    hosts[number].cancel()
            assert self._under_way, "everybody waits, and nobody is getting it"
            self.rounds += 1
            ended, self._under_way = self._under_way, []
            for transfer in ended:
                if not transfer.done():
                    transfer.set_result(None)
        await asyncio.gather(*hosts, return_exceptions=True)

    async def _transfer(self) -> None:
        self._under_way.append(asyncio.get_running_loop().create_future())
        await self._under_way[-1]

    async def _host(self, name: str, how: str) -> None:
        peer = await self.relay.source()
        try:
            if peer is not None:
                try:
                    self.giving[peer.host] = self.giving.get(peer.host, 0) + 1
                    assert self.giving[peer.host] <= AT_ONCE
                    await self._transfer()
                    self.relay.judge(peer, delivered=how != "walled")
                finally:
                    self.giving[peer.host] -= 1
                    self.relay.release(peer)
            if peer is None or how == "walled":
                self.from_controller += 1
                await self._transfer()
            route = Route(Endpoint(name, name))
            opened: Any = asyncio.get_running_loop().create_future()
            self.connections._links[route] = opened
            self.relay.add(Peer(name, route, name, Source("", "", b"", "", True), {}))
        finally:
            self.relay.got()


def played(outcomes: list[str]) -> Fleet:
    async def play() -> Fleet:
        fleet = Fleet(outcomes)
        await asyncio.wait_for(fleet.play(), 60)
        return fleet

    return asyncio.run(play())


def test_rounds_grow_with_the_logarithm_of_hosts():
    fleet = played(["well"] * 243)
    assert fleet.from_controller == 1
    assert fleet.rounds == 1 + 5  # one host has it, then three, nine, …, 243


def test_where_hosts_cannot_reach_each_other_few_find_out():
    fleet = played(["walled"] * 100)
    assert fleet.from_controller == 100
    assert fleet.rounds <= 4  # the first; two that try, or three; and what these and all the others get then


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["well", "well", "walled", "cancelled"]), min_size=1, max_size=40))
def test_everybody_comes_to_an_end(outcomes):
    fleet = played(outcomes)
    relay = fleet.relay
    assert relay.getting == 0 and not any(fleet.giving.values())
    assert all(turn.done() for turn in relay.waiting)
    assert all(relay.offers.count(peer) == AT_ONCE for peer in relay.peers.values() if peer in relay.offers)
    assert fleet.from_controller <= outcomes.count("walled") + 1 + outcomes.count("cancelled") + (
        len(outcomes) if outcomes.count("walled") >= DOUBTS else 0
    )
