"""The items of a loop on one host: one after the other, or several under way where none needs the answer to another.

As in Ansible, an item sees the facts and the registered result of the items before it. A loop whose items each are one
request to one helper is sent ahead all the same: an item that looks at what is not known yet is held back until it is,
and those behind it with it. The helper runs what it was sent in the order in which it came (docs/link.md, "Lanes"), so
that the target cannot tell the two ways apart.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shepherd import actions, sources
from shepherd.engine import results
from shepherd.engine.step import NeedsTurn
from shepherd.engine.values import truth
from shepherd.errors import ShepherdError, TemplateError, Unreachable
from shepherd.spec import load_spec
from shepherd.templating import Layer, is_template
from shepherd.templating.turns import Waits, at_once

if TYPE_CHECKING:
    from shepherd.engine.execute import Execution
    from shepherd.engine.results import Result
    from shepherd.templating import Scope

UNDER_WAY = 32  # items at a time; what they send is small, since large uploads are not sent ahead
_lanes = itertools.count(1)


class Before(Mapping[str, Any]):
    """The variables that the items before one have left. While `left` is None, reading `name` raises NeedsTurn."""

    __slots__ = ("left", "name")

    def __init__(self, name: str | None, left: dict[str, Any] | None) -> None:
        self.name = name
        self.left = left

    def __getitem__(self, name: str) -> Any:
        if self.left is not None:
            return self.left[name]
        if name == self.name:
            raise NeedsTurn
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        if self.left is None and name == self.name:
            raise NeedsTurn
        return self.left is not None and name in self.left

    def __iter__(self) -> Iterator[str]:
        return iter(self.left or ())

    def __len__(self) -> int:
        return len(self.left or ())


class Item:
    """One item under way. `front` are the variables that it brings."""

    __slots__ = ("answer", "before", "front", "scope", "value")

    def __init__(self, value: Any, front: dict[str, Any], before: Before, scope: Scope) -> None:
        self.value = value
        self.front = front
        self.before = before
        self.scope = scope
        self.answer: asyncio.Task[Result]


class Items:
    """Starts the items in order and hands out their answers in order. `close` it."""

    def __init__(self, execution: Execution, pairs: Iterator[tuple[Any, dict[str, Any]]]) -> None:
        self._execution = execution
        self._pairs = pairs
        self._window = UNDER_WAY if independent(execution) else 1
        self._held = False  # an item needs its turn: nothing behind it may be sent
        self._under_way: deque[Item] = deque()
        self._left: dict[str, Any] = {}  # facts, and the registered result

    async def next(self) -> tuple[Item, Result] | None:
        """The next item with its answer; None after the last."""
        while True:
            self._start()
            if not self._under_way:
                return None
            item = self._under_way.popleft()
            try:
                result = await item.answer
            except NeedsTurn:
                again = [(each.value, each.front) for each in (item, *self._under_way)]
                await self.close()
                self._pairs = itertools.chain(again, self._pairs)
                self._window, self._held = 1, False
                continue
            item.before.left = self._left
            return item, result

    def done(self, result: Result) -> None:
        """The item that was handed out is judged: those behind it see what it left."""
        execution = self._execution
        task, facts = execution.task, result.get("ansible_facts")
        another = execution.delegate is not None and truth(task.settings.delegate_facts)  # whose facts they are
        new = dict(facts) if isinstance(facts, Mapping) and not another else {}
        if task.register:
            new[task.register] = result
        self._left = {**self._left, **new} if new else self._left

    async def close(self) -> None:
        """End what is under way."""
        for item in self._under_way:
            item.answer.cancel()
        await asyncio.gather(*(item.answer for item in self._under_way), return_exceptions=True)
        self._under_way.clear()

    def _start(self) -> None:
        execution = self._execution
        if not self._under_way:
            execution.lane = next(_lanes) if self._window > 1 else None
        while len(self._under_way) < self._window and not self._held:
            pair = next(self._pairs, None)
            if pair is None:
                return
            value, front = pair
            before = Before(execution.task.register, None if self._under_way else self._left)
            layers = Layer(front, trusted=False, name="loop"), Layer(before, trusted=False, name="items before")
            scope = execution.run.variables.task_scope(execution.state, execution.task, *layers)
            item = Item(value, front, before, scope)
            item.answer = asyncio.create_task(self._answer(scope))
            self._under_way.append(item)

    async def _answer(self, scope: Scope) -> Result:
        if self._held:
            raise NeedsTurn
        try:
            return await self._execution.once(scope)
        except NeedsTurn:
            self._held = True
            raise
        except Unreachable as error:
            return {"unreachable": True, "changed": False, "msg": error.render()}
        except TemplateError as error:  # the task is wrong as it is written, so that no item behind it is sent
            self._held = True
            return results.complete(results.failure(error.render(), _wrong=True))
        except ShepherdError as error:
            return results.complete(results.failure(error.render()))


def independent(execution: Execution) -> bool:
    """Can the items be sent ahead? Each must be one request, on one link, whose place in time makes no difference."""
    task, run = execution.task, execution.run
    settings, control = task.settings, task.loop.control if task.loop else None
    if control is None or control.pause is not None or control.break_when:
        return False
    if task.until or task.retries is not None or task.background is not None or is_template(task.action):
        return False
    if any(is_template(name) for name in task.notify):
        return False
    if settings.timeout is not None or run.options.task_timeout or settings.delegate_to is not None:
        return False
    if isinstance(settings.no_log, str) or not run.router.is_common(task):
        return False
    spec = load_spec(task.action, run.library)
    if not sources.module(spec.path, spec.name).own or "ansible_facts" in spec.document.get("returns", {}):
        return False
    if not actions.one_request(spec.name):
        return False
    try:
        route = at_once(execution.route, execution.scope)
    except (ShepherdError, Waits):
        return False
    return route.endpoint.kind == "ssh"  # what a local one writes, a lookup may read
