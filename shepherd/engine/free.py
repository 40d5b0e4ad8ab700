"""The free strategy: each host goes through the play as fast as it can, without waiting for the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shepherd.engine import meta
from shepherd.engine.linear import Batch

if TYPE_CHECKING:
    from shepherd.engine.state import HostState


class FreeBatch(Batch):
    """Hosts on their own. As many as `forks` at a time; the next begins when one has come to its end."""

    async def play_out(self) -> bool:
        gate = asyncio.Semaphore(self.run.options.forks)

        async def one(state: HostState) -> None:
            async with gate:
                await self._alone(state)

        while waiting := [state for state in self.states if self._goes_on(state)]:
            async with asyncio.TaskGroup() as group:
                for state in waiting:
                    group.create_task(one(state))
        return not self.ended

    def _goes_on(self, state: HostState) -> bool:
        return not self.ended and not state.unreachable and self.cursors[state.name].peek() is not None

    async def _alone(self, state: HostState) -> None:
        cursor = self.cursors[state.name]
        while self._goes_on(state) and (at := cursor.peek()) is not None:
            position, task = at
            if task.action == "meta":
                await meta.act(self, position, task, [state])
            elif await self._wanted(task):
                await self._round(position, task, [state])
            else:
                cursor.advance()
