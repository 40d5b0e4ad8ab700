"""A play: its hosts, its batches, its sections in order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from shepherd.engine import prompts, vars_files, warm
from shepherd.engine.free import FreeBatch
from shepherd.engine.linear import Batch
from shepherd.engine.plan import plan_of
from shepherd.engine.routes import short
from shepherd.engine.run import TakingPart
from shepherd.engine.values import truth
from shepherd.errors import ParseError, ShepherdError
from shepherd.origin import Origin, origin_of
from shepherd.report.events import NoHosts, PlayStart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.inventory import Host
    from shepherd.playbook.model import Play

ORDERS: dict[str, Callable[[list[Host]], list[Host]]] = {
    "inventory": lambda hosts: hosts,
    "sorted": lambda hosts: sorted(hosts, key=lambda host: host.name),
    "reverse_sorted": lambda hosts: sorted(hosts, key=lambda host: host.name, reverse=True),
    "reverse_inventory": lambda hosts: hosts[::-1],
    "shuffle": lambda hosts: random.sample(hosts, len(hosts)),  # an order, not a secret
}
# host_pinned differs from free in how forks are shared out, which is the same here
STRATEGIES: dict[str, type[Batch]] = {"linear": Batch, "free": FreeBatch, "host_pinned": FreeBatch}


async def play_on_hosts(run: Run, play: Play) -> bool:
    """Play it on its hosts. False where the run must end here: every host of a batch failed, and none had before."""
    run.play = play
    prompted = await prompts.ask(play, run)
    run.variables.enter_play(play, prompted)
    scope = run.variables.play_scope(None, play)
    pattern = run.templates.render(play.hosts, scope)
    hosts = run.inventory.select(pattern, run.options.limit)
    name = _name(run, play, pattern)
    run.taking_part = TakingPart([state for host in hosts if (state := run.state(host.name))])
    states = [state for host in _ordered(run, play, hosts) if (state := run.state(host.name))]
    alive = {state.name for state in states if not state.out}
    for state in states:
        if state.name in alive:
            run.variables.read_inventory(state)
    if not hosts:
        run.emit(PlayStart(name, [], run.options.check))
        run.emit(NoHosts(name, str(pattern)))
        return True
    plan = plan_of(play, run.options.tags, run.options.skip_tags, gather=_gathers(run, play))
    strategy = _strategy(run, play)
    force = _flag(run, play, play.force_handlers) or run.options.force_handlers
    for members in _batches(run, play, states):
        batch = [state for state in members if state.name in alive]
        run.emit(PlayStart(name, [state.name for state in batch], run.options.check))
        run.batch = batch
        if not batch:
            continue
        for state in batch:
            vars_files.read(run, play, state)
        await warm.up(run, plan, batch)
        await run.checked()
        going = await strategy(run, play, batch, plan, force_handlers=force, size=len(members)).play_out()
        if run.end_play:
            run.end_play = False
            return True
        if not going or all(state.out and state.name in alive for state in members):
            return False
    return True


def _strategy(run: Run, play: Play) -> type[Batch]:
    written = run.templates.render(play.strategy or "linear", run.variables.play_scope(None, play))
    found = STRATEGIES.get(short(str(written)))
    if found is None:
        raise ParseError(
            f"the strategy {str(written)!r} is not supported",
            origin=origin_of(play.strategy) or play.origin,
            hint=f"one of {', '.join(STRATEGIES)}",
        )
    return found


def _gathers(run: Run, play: Play) -> bool:
    return run.options.gather if play.gather_facts is None else _flag(run, play, play.gather_facts)


def _flag(run: Run, play: Play, written: Any) -> bool:
    if written is None:
        return False
    return truth(run.templates.render(written, run.variables.play_scope(None, play)))


def _name(run: Run, play: Play, pattern: Any) -> str:
    if not play.name:
        return ",".join(pattern) if isinstance(pattern, list) else str(pattern)
    try:
        return str(run.templates.render(play.name, run.variables.play_scope(None, play)))
    except ShepherdError:
        return play.name


def _ordered(run: Run, play: Play, hosts: list[Host]) -> list[Host]:
    order = str(run.templates.render(play.order, run.variables.play_scope(None, play))) if play.order else "inventory"
    if order not in ORDERS:
        raise ParseError(
            f"order {order!r} is not known",
            origin=origin_of(play.order) or play.origin,
            hint=f"one of {', '.join(ORDERS)}",
        )
    return ORDERS[order](hosts)


def _batches(run: Run, play: Play, states: list[HostState]) -> Iterator[list[HostState]]:
    """`serial`: numbers of hosts or percentages, one after another; the last one again for what remains.

    Hosts that failed in an earlier play count, so that who is in a batch together does not depend on them.
    """
    written = [run.templates.render(entry, run.variables.play_scope(None, play)) for entry in play.serial]
    entries = [entry for found in written for entry in (found if isinstance(found, list) else [found])]
    sizes = [_size(entry, len(states), play.origin) for entry in entries] or [0]
    start = 0
    while start < len(states):
        size = (sizes.pop(0) if len(sizes) > 1 else sizes[0]) or len(states)
        yield states[start : start + size]
        start += size


def _size(entry: Any, hosts: int, origin: Origin) -> int:
    text = str(entry).strip()
    try:
        if text.endswith("%"):
            return max(int(float(text[:-1]) / 100 * hosts), 1)
        return max(int(text), 0)
    except ValueError:
        raise ParseError(f"serial: {text!r} is neither a number of hosts nor a percentage", origin=origin) from None
