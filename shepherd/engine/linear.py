"""The linear strategy: every host of a batch does a task before any host goes on to the next."""

from __future__ import annotations

import asyncio
import fnmatch
from typing import TYPE_CHECKING, Any

from shepherd.engine import effects, includes, meta
from shepherd.engine.cursor import Cursor, Position
from shepherd.engine.execute import Execution, Outcome
from shepherd.engine.handlers import Handlers
from shepherd.engine.plan import flush
from shepherd.engine.step import worked_out
from shepherd.engine.values import truth
from shepherd.errors import ParseError, ShepherdError
from shepherd.playbook.model import Block
from shepherd.report.events import HostResult, Message, TaskStart

if TYPE_CHECKING:
    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import Play, Task


class Batch:
    """Some hosts on their way through a play."""

    def __init__(
        self, run: Run, play: Play, states: list[HostState], plan: Block, *, force_handlers: bool, size: int
    ) -> None:
        self.run = run
        self.play = play
        self.states = states
        self.plan = plan
        self.cursors = {state.name: Cursor(plan) for state in states}
        self.handlers = Handlers(play, lambda task: self._name(task, states[0]))
        self.force_handlers = force_handlers
        self.size = size  # those included that failed in earlier plays
        self.ended = False

    async def play_out(self) -> bool:
        """To the end of the play. False where the run must not go on to the next."""
        while not self.ended:
            found = self._next()
            if found is None:
                break
            position, task, states = found
            if task.action == "meta":
                await meta.act(self, position, task, states)
            elif await self._wanted(task):
                await self._round(position, task, states)
            else:
                for state in states:
                    self.cursors[state.name].advance()
        return not self.ended

    def join(self, state: HostState) -> None:
        """A host begins the play later than the others."""
        self.states.append(state)
        self.cursors[state.name] = Cursor(self.plan)

    def _next(self) -> tuple[Position, Task, list[HostState]] | None:
        """The lowest position at which a host stands, its task, and the hosts that stand there."""
        lowest: Position | None = None
        task: Task | None = None
        states: list[HostState] = []
        for state in self.states:
            at = None if state.unreachable else self.cursors[state.name].peek()
            if at is None:
                continue
            if lowest is None or at[0] < lowest:
                lowest, task = at
                states = [state]
            elif at[0] == lowest:
                states.append(state)
        return None if lowest is None or task is None else (lowest, task, states)

    async def _round(self, position: Position, task: Task, states: list[HostState]) -> None:
        run = self.run
        once = await worked_out(None, self._runs_once, task, states[0])
        acting = states[:1] if once else states
        called = await worked_out(None, self._name, task, states[0])
        run.emit(
            TaskStart(
                name=_behind_role(task, called),
                action=task.action,
                path=str(task.origin),
                handler=task in self.handlers,
                check=run.options.check,
            )
        )
        outcomes = await self._execute(task, acting, called)
        failed = False
        for outcome in outcomes:
            sharing = states if once else [outcome.state]
            failed = self._apply(outcome, task, sharing) or failed
        await includes.insert(self, position, task, outcomes, states if once else None)
        if failed:
            self._consequences(task, states)

    async def _execute(self, task: Task, states: list[HostState], called: str) -> list[Outcome]:
        """Outcomes in the order of the hosts; as many at a time as forks and throttle allow."""
        executions = [Execution(self.run, state, task, called) for state in states]
        outcomes = [execution.skipped_at_once() for execution in executions]
        waiting = [number for number, outcome in enumerate(outcomes) if outcome is None]
        if len(waiting) == 1:
            outcomes[waiting[0]] = await executions[waiting[0]].run_task()
        elif waiting:
            gate = asyncio.Semaphore(await worked_out(None, self._at_once, task, states[0]))

            async def one(number: int) -> None:
                async with gate:
                    outcomes[number] = await executions[number].run_task()

            async with asyncio.TaskGroup() as group:
                for number in waiting:
                    group.create_task(one(number))
        return [outcome for outcome in outcomes if outcome is not None]

    def _at_once(self, task: Task, state: HostState) -> int:
        forks = self.run.options.forks
        written = task.settings.throttle
        if written is None:
            return forks
        found = self.run.templates.render(written, self.run.variables.task_scope(state, task))
        try:
            wanted = int(found)
        except (TypeError, ValueError):
            raise ParseError(f"throttle: {found!r} is not a whole number", origin=task.origin) from None
        return min(forks, wanted) if wanted > 0 else forks

    def _apply(self, outcome: Outcome, task: Task, sharing: list[HostState]) -> bool:
        """Keep what a host answered and move it on. True where it failed and nothing rescued it."""
        state = outcome.state
        effects.keep(self.run, outcome, task, sharing)
        if task.role is not None and outcome.status != "skipped":
            for each in sharing:
                self.cursors[each.name].ran(task.role)
        counts = state.counts
        status = outcome.status
        if status == "unreachable" and not outcome.ignored:
            counts["unreachable"] += 1
            state.unreachable = True
            for each in sharing:
                cursor = self.cursors[each.name]
                (cursor.advance if each is state else cursor.end)()
            return True
        if status == "failed" and not outcome.ignored:
            return self._failed(outcome, task, sharing)
        if status == "skipped":
            counts["skipped"] += 1
        else:
            # an include counts once for each file or role that could be read
            counts["ok"] += outcome.ignored or not any("_include" in ran.result for ran in outcome.items)
            counts["changed"] += bool(outcome.result.get("changed"))
        counts["ignored"] += outcome.ignored
        for each in sharing:
            self.cursors[each.name].advance()
        if outcome.result.get("changed") and task.notify:
            self._notify(outcome, task, sharing)
        return False

    def _failed(self, outcome: Outcome, task: Task, sharing: list[HostState]) -> bool:
        fatal = False
        for state in sharing:
            where = self.cursors[state.name].fail()
            if where == "rescued":
                state.counts["rescued"] += state is outcome.state
                state.register({"ansible_failed_task": effects.describe(task), "ansible_failed_result": outcome.result})
                continue
            fatal = True
            state.counts["failed"] += state is outcome.state
            state.failed = True
            self._after_failure(state)
        return fatal

    def _after_failure(self, state: HostState) -> None:
        """What was notified before the failure runs only where handlers are forced."""
        cursor = self.cursors[state.name]
        if not self.force_handlers:
            self.handlers.forget(state.name)
        elif cursor.failed:
            cursor.finish_with(Block((flush(self.play),)))

    def _notify(self, outcome: Outcome, task: Task, sharing: list[HostState]) -> None:
        for ran in outcome.items:
            for name in ran.notified if ran.result.get("changed") else ():
                for state in sharing:
                    try:
                        self.handlers.notify(state.name, name)
                    except ShepherdError as error:
                        raise ShepherdError(error.message, origin=task.origin, hint=error.hint) from None

    def _consequences(self, task: Task, states: list[HostState]) -> None:
        """any_errors_fatal and max_fail_percentage: the other hosts of the batch stop too."""
        scope = self.run.variables.task_scope(states[0], task)
        fatal = self.run.templates.render(task.settings.any_errors_fatal, scope)
        if truth(fatal):
            for state in self.states:
                cursor = self.cursors[state.name]
                if not state.out and cursor.peek() is not None and cursor.fail() != "rescued":
                    state.failed = True
            return
        limit = self.play.max_fail_percentage
        if limit is not None:
            share = 100 * sum(state.out for state in self.states) / max(self.size, len(self.states))
            if share > float(self.run.templates.render(limit, scope)):
                self.ended = True

    def _runs_once(self, task: Task, state: HostState) -> bool:
        written = task.settings.run_once
        if written is None:
            return False
        return truth(self.run.templates.render(written, self.run.variables.task_scope(state, task)))

    async def _wanted(self, task: Task) -> bool:
        """--start-at-task and --step."""
        run = self.run
        if run.start_at is not None:
            if task.implicit:  # facts are gathered for the play that is entered, not for those before it
                return any(self._starts(each, run.start_at) for each in self.plan.walk())
            if not self._starts(task, run.start_at):
                return False
            run.start_at = None
        if run.options.step and not task.implicit:
            return await run.ask_step(self.title(task, self.states[0]))
        return True

    def _starts(self, task: Task, pattern: str) -> bool:
        names = (self.title(task, self.states[0]), task.name or "")
        return not task.implicit and any(fnmatch.fnmatch(name, pattern) for name in names)

    def _name(self, task: Task, state: HostState) -> str:
        name = task.called
        if "{" not in name:
            return name
        try:
            return str(self.run.templates.render(name, self.run.variables.task_scope(state, task)))
        except ShepherdError:
            return name

    def title(self, task: Task, state: HostState) -> str:
        """The task's name as people see it: rendered, behind its role's."""
        return _behind_role(task, self._name(task, state))

    def say(self, level: str, text: str, state: HostState | None = None) -> None:
        self.run.emit(Message(level, text, state.name if state else None))

    def give_up(self, state: HostState, task: Task, error: ShepherdError) -> None:
        """A host fails outside of any task's own answer (an include that cannot be read)."""
        result: dict[str, Any] = {"failed": True, "changed": False, "msg": error.render()}
        self.run.emit(
            HostResult(state.name, self.title(task, state), task.action, "failed", result, path=str(task.origin))
        )
        if self.cursors[state.name].fail() == "rescued":
            state.counts["rescued"] += 1
        else:
            state.counts["failed"] += 1
            state.failed = True


def _behind_role(task: Task, name: str) -> str:
    return f"{task.role.name} : {name}" if task.role and task.name else name
