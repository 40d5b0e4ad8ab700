"""A task on a host: its loop, its condition, its arguments, its tries, and what becomes of the answer."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from shepherd import actions
from shepherd.engine import loops, prepare, results
from shepherd.engine.items import Items
from shepherd.engine.step import worked_out
from shepherd.engine.values import seconds, truth, whole
from shepherd.errors import ShepherdError, UndefinedVariable, Unreachable
from shepherd.report.events import HostResult, ItemResult, Message, Retry, Status
from shepherd.templating import Layer, Scope
from shepherd.templating.turns import Waits, at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from shepherd.engine.items import Item
    from shepherd.engine.results import Result
    from shepherd.engine.routes import Route
    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.playbook.model import LoopControl, Task

P = ParamSpec("P")
T = TypeVar("T")
RETRIES = 3  # what `until` means without `retries`
DELAY = 5.0  # seconds


class Ran(NamedTuple):
    """One run: of the task, or of an item of its loop. `notified` are the handlers it asks for."""

    result: Result
    scope: Scope
    delegate: HostState | None = None
    notified: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """How a host fared at a task. `items` are its runs, for what the engine does with them."""

    state: HostState
    status: Status
    result: Result
    items: tuple[Ran, ...] = ()
    ignored: bool = False


class Execution:
    """One task on one host, from its condition to its registered result."""

    def __init__(self, run: Run, state: HostState, task: Task, called: str | None = None) -> None:
        self.run = run
        self.state = state
        self.task = task
        self.called = called or task.called  # its name, rendered
        self.action = task.action  # the module's name, once a template for it is rendered
        self.scope = run.variables.task_scope(state, task)
        self.templates = run.templates
        # until its keyword is rendered, one that may be secret is; of a loop's items one that is hides the whole
        self.no_log = task.settings.no_log not in (None, False)
        self.no_log_of_some = False
        self.delegate: HostState | None = None
        self.lane: int | None = None  # of the loop's items that are sent ahead
        self.started = time.monotonic()

    def skipped_at_once(self) -> Outcome | None:
        """The outcome, where the condition alone decides it: no loop, no wait, no round trip."""
        task = self.task
        if task.loop is not None or not task.settings.when:
            return None
        try:
            reason = at_once(self._unmet, self.scope)
        except (ShepherdError, Waits):
            return None  # `run` meets it again, and reports it or waits
        return None if reason is None else self._outcome(reason, (Ran(reason, self.scope),))

    def meant(self) -> bool:
        """Do the conditions of a task without a loop hold? Raises TemplateError."""
        return self._unmet(self.scope) is None

    async def run_task(self) -> Outcome:
        """Run it, and never raise for what went wrong with the task or the host."""
        task = self.task
        items: list[Ran] = []
        try:
            if task.loop is None:
                result = await self.once(self.scope)
                items.append(self._ran(result, self.scope))
            else:
                result = await self._loop(items)
        except Unreachable as error:
            result = {"unreachable": True, "changed": False, "msg": error.render()}
        except ShepherdError as error:
            result = results.failure(error.render())
        if not items:
            items.append(Ran(result, self.scope, self.delegate))
        return self._outcome(result, tuple(items))

    # the loop

    async def _loop(self, done: list[Ran]) -> Result:
        loop = self.task.loop
        assert loop is not None
        try:
            found = await self._worked_out(loops.items, loop, self.scope, self.templates)
        except UndefinedVariable:
            # Ansible looks at the condition before it complains of a loop over nothing known
            reason = await self._worked_out(self._unmet, self.scope)
            if reason is None:
                raise
            return reason
        control = loop.control
        pause = self.templates.render(control.pause, self.scope) if control.pause is not None else 0
        items = Items(self, loops.scopes(control, found, self.scope, self.templates))
        try:
            while (answered := await items.next()) is not None:
                item, result = answered
                items.done(result)
                wrong = result.pop("_wrong", False)
                self._complete_item(item, result, control)
                done.append(self._ran(result, item.scope))
                self._emit_item(result, item.value, item.scope)
                if wrong or result.get("unreachable"):
                    break
                if control.break_when:
                    seen = item.scope.child(Layer({**self._named(result)}, trusted=False))
                    if await self._worked_out(self._holds, control.break_when, seen):
                        break
                if pause and len(done) < len(found):
                    await asyncio.sleep(seconds("pause", pause))
        finally:
            await items.close()
        if not done:
            return {**results.skip("No items in the list"), "skipped_reason": "No items in the list", "results": []}
        return results.gather_items([ran.result for ran in done])

    def _ran(self, result: Result, scope: Scope) -> Ran:
        return Ran(result, scope, self.delegate, result.pop("_notified", ()))

    def _complete_item(self, item: Item, result: Result, control: LoopControl) -> None:
        """What a result of a loop says of its item."""
        result[control.loop_var] = item.value
        result["ansible_loop_var"] = control.loop_var
        if control.index_var:
            result[control.index_var] = item.front[control.index_var]
            result["ansible_index_var"] = control.index_var
        if control.extended:
            result["ansible_loop"] = item.front["ansible_loop"]

    def _emit_item(self, result: Result, item: Any, scope: Scope) -> None:
        loop = self.task.loop
        assert loop is not None
        status = _status(result)
        label = item
        if loop.control.label is not None:
            try:
                label = self.templates.render(loop.control.label, scope)
            except ShepherdError as error:
                self.run.emit(Message("warning", f"label: {error.message}", self.state.name))
        hidden = self.no_log
        ignored = status == "failed" and self._ignores(scope)
        self.run.emit(
            ItemResult(
                host=self.state.name,
                task=self._called(),
                status=status,
                item=None if hidden else item,
                label="(censored due to no_log)" if hidden else loops.label(label),
                result=results.shown(result, no_log=hidden),
                delegated=self._delegated(),
                ignored=ignored,
                speaks=bool(result.get("_speaks")),
                action=self.action,
            )
        )

    # one run

    async def once(self, scope: Scope) -> Result:
        """One run: of the task, or of one item of its loop."""
        reason = await self._worked_out(self._begin, scope)
        if reason is not None:
            return reason
        if self.delegate is not None:
            scope = scope.child(Layer(self._delegated_vars(), trusted=False, name="delegation"))
        task = self.task
        tries = 1
        if task.until or task.retries is not None:
            wanted = self.templates.render(task.retries, scope) if task.retries is not None else RETRIES
            tries = max(whole("retries", wanted), 0) + 1
        delay = DELAY if task.delay is None else seconds("delay", self.templates.render(task.delay, scope))
        until = task.until or ((f"{task.register or '_result'} is succeeded",) if tries > 1 else ())
        result: Result = {}
        for attempt in range(1, tries + 1):
            result = await self._attempt(scope)
            seen = await self._judge(result, scope)
            if tries == 1:
                break
            result["attempts"] = attempt
            if await self._worked_out(self._holds, until, seen):
                break
            if attempt == tries:
                result.update(failed=True, attempts=tries - 1)
                break
            self.run.emit(
                Retry(
                    self.state.name,
                    self._called(),
                    tries - attempt,
                    results.shown(result, no_log=self.no_log),
                )
            )
            await asyncio.sleep(delay)
        if self.task.notify and not result.get("failed") and not result.get("unreachable"):
            result["_notified"] = await self._worked_out(self._handlers, scope)
        return result

    def _handlers(self, scope: Scope) -> tuple[str, ...]:
        """The names under `notify`. A name that cannot be known is the task's failure, though it has done its work."""
        found = [self.templates.render(written, scope) for written in self.task.notify]
        return tuple(str(name) for names in found for name in (names if isinstance(names, list) else [names]))

    async def _attempt(self, scope: Scope) -> Result:
        step = await self._worked_out(prepare.step, self, scope)
        action = actions.find(step.spec.name)
        secrets = step.spec.secrets(step.args)
        try:
            async with asyncio.timeout(step.timeout):
                result = dict(await (action(step) if action else step.module()))
        except TimeoutError:
            what = (
                f"The {self.task.action} action failed to execute in the expected time frame "
                f"({step.timeout:g}) and was terminated"
            )
            result = results.failure(
                what if self.task.background is None else f"Timeout exceeded (async: {step.timeout:g} seconds)",
                timedout={"period": step.timeout},
            )
        except Unreachable as error:
            self.run.connections.drop((await self._worked_out(step.route)).endpoint)
            result = {"unreachable": True, "changed": False, "msg": error.render()}
        except ShepherdError as error:
            result = results.failure(error.render())
        except OSError as error:
            result = results.failure(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # a bug of ours fails the task, not the run
            result = results.failure(f"{type(error).__name__}: {error}", exception=traceback.format_exc())
        if secrets:
            result = results.redact(result, secrets)
        if self.run.options.verbosity >= 3 and "invocation" not in result:
            result["invocation"] = {"module_args": results.redact(dict(step.args), secrets)}
        return results.complete(result)

    def route(self, scope: Scope) -> Route:
        """How the target is reached: the host, or whom the task is delegated to."""
        if self.delegate is None:
            return self.run.router.route(self.state, self.task, scope)
        own = self.run.variables.task_scope(self.delegate, self.task)
        return self.run.router.route(self.delegate, self.task, own, shared=False)

    # what the answer means

    async def _judge(self, result: Result, scope: Scope) -> Scope:
        """Apply changed_when and failed_when; returns the scope in which the result has its registered name."""
        task = self.task
        seen = scope.child(Layer(self._named(result), trusted=False, name="result"))
        if result.get("unreachable") or result.get("skipped"):
            return seen
        if task.changed_when is not None or task.failed_when is not None:
            try:
                if task.changed_when is not None:
                    result["changed"] = await self._worked_out(self._holds, task.changed_when, seen)
                if task.failed_when is not None:
                    failed = await self._worked_out(self._holds, task.failed_when, seen)
                    result["failed_when_result"] = result["failed"] = failed
            except ShepherdError as error:
                result.update(results.failure(error.render(), failed_when_result=True))
                result.pop("failed_when_result")
        return seen

    def _named(self, result: Result) -> dict[str, Any]:
        names = {self.task.register or "_result": result}
        facts = result.get("ansible_facts")
        if isinstance(facts, Mapping):
            names.update(facts)
        return names

    def _outcome(self, result: Result, items: tuple[Ran, ...]) -> Outcome:
        results.complete(result)
        status = _status(result)
        ignored = False
        scope = items[0].scope if items else self.scope
        if status == "failed":
            ignored = self._ignores(scope)
        elif status == "unreachable":
            ignored = self._flag(self.task.settings.ignore_unreachable, scope)
        hidden = self.no_log or self.no_log_of_some
        for warning in () if hidden else result.get("warnings") or ():
            self.run.emit(Message("warning", str(warning), self.state.name))
        self.run.emit(
            HostResult(
                host=self.state.name,
                task=self._called(),
                action=self.action,
                status=status,
                result=results.shown(result, no_log=hidden),
                delegated=self._delegated(),
                ignored=ignored,
                path=str(self.task.origin),
                seconds=time.monotonic() - self.started,
                speaks=bool(result.get("_speaks")),
            )
        )
        return Outcome(self.state, status, result, items, ignored)

    # small things

    async def _worked_out(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """See step.worked_out."""
        return await worked_out(self.lane, function, *args, **options)

    def _begin(self, scope: Scope) -> Result | None:
        """What the keywords say before anything is done; the skip, if it is one."""
        self.delegate = None
        self._settle(scope)
        reason = self._unmet(scope)
        if reason is None:
            self._delegate(scope)
        return reason

    def _settle(self, scope: Scope) -> None:
        self.no_log = self._flag(self.task.settings.no_log, scope)
        self.no_log_of_some = self.no_log_of_some or self.no_log

    def _delegate(self, scope: Scope) -> None:
        written = self.task.settings.delegate_to
        if written is None:
            return
        name = self._render(written, scope)
        if not isinstance(name, str) or not name:
            self.delegate = None
            return
        self.delegate = None if name == self.state.name else self.run.delegate_state(name)

    def _called(self) -> str:
        task = self.task
        return (
            self.called if self.action == task.action or task.name else self.called.replace(task.written, self.action)
        )

    def _delegated(self) -> str | None:
        return self.delegate.name if self.delegate is not None else None

    def _delegated_vars(self) -> dict[str, Any]:
        assert self.delegate is not None
        return {"ansible_delegated_vars": {self.delegate.name: self.run.variables.host_scope(self.delegate)}}

    def _unmet(self, scope: Scope) -> Result | None:
        """The skip that the first condition that does not hold amounts to."""
        for condition in self.task.settings.when:
            if not self.templates.condition(condition, scope):
                return results.skip("Conditional result was False", condition)
        return None

    def _holds(self, conditions: tuple[Any, ...], scope: Scope) -> bool:
        return all(self.templates.condition(condition, scope) for condition in conditions)

    def _ignores(self, scope: Scope) -> bool:
        return self._flag(self.task.settings.ignore_errors, scope)

    def _flag(self, written: Any, scope: Scope) -> bool:
        return truth(self._render(written, scope))

    def _render(self, written: Any, scope: Scope) -> Any:
        return self.templates.render(written, scope) if isinstance(written, (str, list, dict)) else written


def _status(result: Result) -> Status:
    if result.get("unreachable"):
        return "unreachable"
    if result.get("failed"):
        return "failed"
    if result.get("skipped"):
        return "skipped"
    return "changed" if result.get("changed") else "ok"
