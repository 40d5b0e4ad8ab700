"""Where a host stands in a play: a stack of blocks, each in its tasks, its rescue or its always.

A position is a tuple that orders all tasks of a play, included ones too, so that a strategy can keep hosts in step
by always running the lowest position next, whatever each host skipped, rescued or included on its way.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from shepherd.playbook.model import Block, Role, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

Position = tuple[int, ...]
TASKS, RESCUE, ALWAYS = 0, 1, 2
_LAST: Position = (sys.maxsize,)


class _Frame:
    """One block under way. `numbers` replace the items' own indices in positions where items were picked out."""

    __slots__ = ("block", "failed", "index", "items", "numbers", "phase", "position")

    def __init__(self, block: Block, position: Position, numbers: Sequence[int] | None = None) -> None:
        self.block = block
        self.items: tuple[Task | Block, ...] = block.tasks
        self.index = 0
        self.phase = TASKS
        self.position = position
        self.numbers = numbers
        self.failed = False

    def enter(self, phase: int) -> None:
        self.phase = phase
        self.items = self.block.rescue if phase == RESCUE else self.block.always
        self.index = 0

    def here(self) -> Position:
        number = self.numbers[self.index] if self.numbers is not None else self.index
        return (*self.position, self.phase, number)


class Cursor:
    """One host's way through a block. `failed` once a failure came out of the outermost block."""

    __slots__ = ("_roles", "_stack", "failed")

    def __init__(self, root: Block) -> None:
        self._stack = [_Frame(root, ())]
        self._roles: dict[str, Role] = {}  # by key: the use of a role that ran
        self.failed = False

    def peek(self) -> tuple[Position, Task] | None:
        """The next task and its position; None at the end. Does not move, except into blocks."""
        stack = self._stack
        while stack:
            frame = stack[-1]
            if frame.index < len(frame.items):
                item = frame.items[frame.index]
                if isinstance(item, Task):
                    return frame.here(), item
                here = frame.here()
                frame.index += 1
                if not self._ran_before(item):
                    stack.append(_Frame(item, here))
            elif frame.phase != ALWAYS and frame.block.always:
                frame.enter(ALWAYS)
            else:
                stack.pop()
                if frame.failed:
                    self._unwind()
        return None

    def _ran_before(self, block: Block) -> bool:
        """A role that may not be repeated runs once on a host, however often the play uses it with the same words."""
        role = block.role
        if role is None or role.allow_duplicates:
            return False
        return self._roles.get(role.key, role) is not role

    def ran(self, role: Role) -> None:
        """A task of this use of a role was run, not skipped: that makes it count as used."""
        self._roles.setdefault(role.key, role)

    def advance(self) -> None:
        """The task that `peek` shows is done."""
        self._stack[-1].index += 1

    def insert(self, at: Position, blocks: Sequence[tuple[int, Block]], numbers: Sequence[int] | None = None) -> None:
        """Go through `blocks` now, before what would come next: includes, or handlers.

        `at` is the position of the task that brought them, the number before each block tells apart what different
        hosts insert there. `numbers` stand in for the items' indices where they were picked out of a longer list.
        """
        for order, block in reversed(blocks):
            self._stack.append(_Frame(block, (*at, order), numbers))

    def fail(self) -> Literal["rescued", "failed"]:
        """The task that `peek` shows failed: go to the nearest rescue, or through what must always run, and out."""
        return self._unwind()

    def _unwind(self) -> Literal["rescued", "failed"]:
        stack = self._stack
        while stack:
            frame = stack[-1]
            if frame.phase == TASKS and frame.block.rescue:
                frame.enter(RESCUE)
                return "rescued"
            if frame.phase != ALWAYS and frame.block.always:
                frame.enter(ALWAYS)
                frame.failed = True
                return "rescued" if self._rescue_above() else "failed"
            stack.pop()
        self.failed = True
        return "failed"

    def _rescue_above(self) -> bool:
        return any(frame.phase == TASKS and frame.block.rescue for frame in self._stack[:-1])

    def finish_with(self, block: Block) -> None:
        """After a failure, do only this yet, when all others have come to the end (forced handlers)."""
        self._stack.append(_Frame(block, _LAST))

    def end(self) -> None:
        """Nothing more for this host."""
        self._stack.clear()

    def leave_role(self, role: Role) -> None:
        """Skip the rest of `role`, what must always run included."""
        while self._stack and (self._stack[-1].block.role is role or self._in_role(self._stack[-1], role)):
            self._stack.pop()

    @staticmethod
    def _in_role(frame: _Frame, role: Role) -> bool:
        return all(isinstance(item, Task) and item.role is role for item in frame.items)
