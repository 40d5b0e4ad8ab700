"""Handlers of a play: who asked for which, and what is still to run on each host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError, nearest
from shepherd.playbook.model import Block

if TYPE_CHECKING:
    from collections.abc import Callable

    from shepherd.playbook.model import Play, Task


class Handlers:
    """Handlers by number, in the order they are written: the order they run in, however they were notified."""

    def __init__(self, play: Play, render: Callable[[Task], str]) -> None:
        self.tasks: list[Task] = list(play.handlers)
        self._render = render
        self._names: dict[str, list[int]] | None = None
        self._waiting: dict[str, set[int]] = {}
        self._done: dict[str, set[int]] = {}  # in the flush under way

    def __contains__(self, task: Task) -> bool:
        return any(task is handler for handler in self.tasks)

    def add(self, tasks: tuple[Task, ...]) -> None:
        """Handlers that a role brought while running."""
        known = {id(task) for task in self.tasks}
        self.tasks += [task for task in tasks if id(task) not in known]
        self._names = None

    def notify(self, host: str, name: str) -> None:
        """Ask for the handlers that are called `name`, or listen to it. Raises where there is none."""
        names = self._index()
        found = names.get(name)
        if found is None:
            raise ShepherdError(
                f"The requested handler '{name}' was not found in either the main handlers list nor in the listening "
                "handlers list",
                hint=nearest(name, names),
            )
        self._waiting.setdefault(host, set()).update(found)

    def take(self, host: str) -> tuple[Block, list[int]] | None:
        """What `host` has to run now, with the handlers' numbers; None where nothing waits, which ends its flush.

        A handler runs once in a flush: one that is asked for again by a later handler waits for the next.
        """
        waiting = self._waiting.get(host, set())
        done = self._done.setdefault(host, set())
        numbers = sorted(waiting - done)
        if not numbers:
            done.clear()
            return None
        waiting.difference_update(numbers)
        done.update(numbers)
        return Block(tuple(self.tasks[number] for number in numbers)), numbers

    def forget(self, host: str) -> None:
        self._waiting.pop(host, None)

    def _index(self) -> dict[str, list[int]]:
        """Numbers by what can be notified: of handlers with the same name the last one counts, topics gather all."""
        if self._names is None:
            names: dict[str, list[int]] = {}
            for number, task in enumerate(self.tasks):
                if task.name:
                    name = self._render(task)
                    for known in (name, f"{task.role.name} : {name}") if task.role else (name,):
                        names[known] = [number]
            for number, task in enumerate(self.tasks):
                for topic in task.listen:
                    listeners = names.setdefault(str(topic), [])
                    if number not in listeners:
                        listeners.append(number)
            self._names = names
        return self._names
