"""What waits is done apart; all else of a thread and the event loop happens in turns."""

from __future__ import annotations

import asyncio
import threading

import pytest

from shepherd.templating.turns import Waits, apart, at_once, in_turns


def go(main):
    return asyncio.run(asyncio.wait_for(main, 30))


def test_outside_of_tasks_it_is_simply_called():
    assert apart(lambda: 7) == 7


def test_what_does_not_wait_is_worked_out_at_once():
    assert at_once(lambda number: number + 1, 6) == 7
    with pytest.raises(Waits):
        at_once(apart, lambda: pytest.fail("called"))
    assert apart(lambda: 7) == 7


def test_the_loop_goes_on_while_it_waits_and_only_then():
    """The thread waits for the loop, twice; between, nothing of the loop runs."""

    async def main():
        events = [threading.Event() for _ in range(2)]
        running = []

        def one(number):
            running.append(number)
            for event in events:
                before = list(running)
                for _ in range(1000):
                    assert running == before  # nobody else is at work
                apart(lambda event=event: event.wait())
                running.append(number)
            return number

        tasks = [asyncio.ensure_future(in_turns(one, number)) for number in range(20)]
        for event in events:
            for _ in range(5):
                await asyncio.sleep(0)
            event.set()
        assert await asyncio.gather(*tasks) == list(range(20))
        assert len(running) == 60

    go(main())


def test_errors_of_every_kind_come_back():
    async def main():
        for error in (ValueError("a"), KeyError("b"), Waits()):

            def fail(error=error):
                apart(lambda: None)
                raise error

            with pytest.raises(type(error)):
                await in_turns(fail)

    go(main())


def test_giving_up_ends_what_waits_and_unwinds():
    async def main():
        end, unwound, after = threading.Event(), asyncio.Event(), []

        def work():
            try:
                apart(end.wait, end.set)
                after.append("went on")
            finally:
                unwound.set()

        task = asyncio.ensure_future(in_turns(work))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await unwound.wait()
        assert not after

    go(main())
