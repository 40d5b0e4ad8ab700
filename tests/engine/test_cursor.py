"""The cursor goes through blocks as a plain recursive reading of them would, whatever fails."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shepherd.engine.cursor import Cursor
from shepherd.origin import Origin
from shepherd.playbook.model import Block, Task

PLACE = Origin("test")


def task(name: str) -> Task:
    return Task(action="debug", args={}, origin=PLACE, name=name)


class FailedError(Exception):
    pass


def reference(block: Block, failing: set[str], ran: list[str]) -> None:
    """Run `block` by recursion: the meaning that the cursor must have."""

    def run(items: tuple[Task | Block, ...]) -> None:
        for item in items:
            if isinstance(item, Block):
                reference(item, failing, ran)
            else:
                ran.append(str(item.name))
                if item.name in failing:
                    raise FailedError

    try:
        try:
            run(block.tasks)
        except FailedError:
            if not block.rescue:
                raise
            run(block.rescue)
    finally:
        run(block.always)


def walk(cursor: Cursor, failing: set[str]) -> list[str]:
    ran = []
    while (at := cursor.peek()) is not None:
        ran.append(str(at[1].name))
        if at[1].name in failing:
            cursor.fail()
        else:
            cursor.advance()
    return ran


@st.composite
def plans(draw: st.DrawFn) -> tuple[Block, set[str]]:
    names = iter(range(1000))
    failing: set[str] = set()

    def items(depth: int, most: int) -> tuple[Task | Block, ...]:
        made: list[Task | Block] = []
        for _ in range(draw(st.integers(0, most))):
            if depth and draw(st.booleans()):
                made.append(block(depth - 1))
            else:
                name = f"task {next(names)}"
                if draw(st.integers(0, 4)) == 0:
                    failing.add(name)
                made.append(task(name))
        return tuple(made)

    def block(depth: int) -> Block:
        return Block(items(depth, 3), items(depth, 2), items(depth, 2))

    return block(3), failing


@given(plans())
def test_blocks_run_as_they_read(plan: tuple[Block, set[str]]) -> None:
    block, failing = plan
    expected: list[str] = []
    try:
        reference(block, failing, expected)
        fails = False
    except FailedError:
        fails = True
    cursor = Cursor(block)
    assert walk(cursor, failing) == expected
    assert cursor.failed is fails


@given(plans())
def test_positions_only_grow(plan: tuple[Block, set[str]]) -> None:
    block, failing = plan
    cursor = Cursor(block)
    positions = []
    while (at := cursor.peek()) is not None:
        positions.append(at[0])
        if at[1].name in failing:
            cursor.fail()
        else:
            cursor.advance()
    assert positions == sorted(positions)
    assert len(set(positions)) == len(positions)


def test_what_is_inserted_runs_before_what_comes_next() -> None:
    plan = Block((task("include"), task("after")))
    cursor = Cursor(plan)
    position, _ = cursor.peek() or ((), None)
    cursor.advance()
    cursor.insert(position, [(0, Block((task("first"),))), (1, Block((task("second"),)))])
    assert walk(cursor, set()) == ["first", "second", "after"]


def test_a_failure_inside_an_include_reaches_the_rescue_around_it() -> None:
    plan = Block((Block((task("include"), task("never")), rescue=(task("rescue"),)), task("after")))
    cursor = Cursor(plan)
    position, _ = cursor.peek() or ((), None)
    cursor.advance()
    cursor.insert(position, [(0, Block((task("breaks"),)))])
    assert walk(cursor, {"breaks"}) == ["breaks", "rescue", "after"]
    assert not cursor.failed


def test_handlers_keep_their_own_numbers() -> None:
    """Two hosts with different handlers fall into step by the handlers' order in the play."""
    flush = Block((task("flush"),))
    handlers = [task(name) for name in "abc"]
    one, other = Cursor(flush), Cursor(flush)
    for cursor, numbers in ((one, [0, 2]), (other, [2])):
        position, _ = cursor.peek() or ((), None)
        cursor.insert(position, [(0, Block(tuple(handlers[n] for n in numbers)))], numbers)
    first, second = one.peek(), other.peek()
    assert first is not None
    assert second is not None
    assert first[0] < second[0]
    one.advance()
    assert one.peek() == second
