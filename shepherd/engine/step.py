"""One run of one task on one host, as the controller's half of a module sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, ParamSpec, TypeVar

from shepherd.errors import ShepherdError, nearest
from shepherd.report.events import Message
from shepherd.templating.turns import Waits, at_once, in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shepherd.engine.results import Result
    from shepherd.engine.routes import Route
    from shepherd.engine.run import Run
    from shepherd.engine.state import HostState
    from shepherd.link import Link
    from shepherd.playbook.model import Task
    from shepherd.spec import Spec
    from shepherd.templating import Scope

P = ParamSpec("P")
T = TypeVar("T")


class NeedsTurn(BaseException):  # no error, and nothing that handles errors may take it for one
    """This item of a loop cannot be sent before the items before it are done; see items.py."""


async def worked_out(lane: int | None, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """`function(…)`, which renders. What a lookup of it waits for, other hosts do not; it may be begun twice then.

    An item that shares a lane needs its turn for that, or those behind it would overtake it.
    """
    try:
        return at_once(function, *args, **options)
    except Waits:
        if lane is not None:
            raise NeedsTurn from None
    return await in_turns(function, *args, **options)


class Step:
    """What an action is given.

    args    the options, rendered and typed, by main name, defaults filled in
    scope   the variables that the task sees, loop item included
    check   say what would change, change nothing; diff: the result should carry a diff
    route   how the target is reached (the delegate's, where the task is delegated)
    lane    shared by the items of a loop that are under way at the same time, or None
    """

    __slots__ = (
        "_environment", "args", "check", "diff", "lane", "route", "run", "scope", "spec", "state", "task", "timeout",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        state: HostState,
        task: Task,
        scope: Scope,
        spec: Spec,
        args: dict[str, Any],
        *,
        check: bool,
        diff: bool,
        timeout: float | None,
        environment: Mapping[str, str],
        route: Callable[[], Route],
        lane: int | None = None,
    ) -> None:
        self.run = run
        self.state = state
        self.task = task
        self.scope = scope
        self.spec = spec
        self.args = args
        self.check = check
        self.diff = diff
        self.timeout = timeout
        self.route = route
        self.lane = lane
        self._environment = environment

    @property
    def environment(self) -> Mapping[str, str]:
        return self._environment

    async def link(self) -> Link:
        """The helper on the target."""
        return await self.run.connections.link(await self.worked_out(self.route))

    async def worked_out(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """`function(…)`, which renders: see above."""
        return await worked_out(self.lane, function, *args, **options)

    async def module(
        self,
        name: str | None = None,
        args: Mapping[str, Any] | None = None,
        *,
        upload: bytes | BinaryIO | None = None,
        check: bool | None = None,
        diff: bool | None = None,
    ) -> Result:
        """Run a module on the target: the task's own, unless another is named. One round trip.

        `args` are complete as they are for the task's own module; those of another are checked by its SPEC.
        """
        from shepherd import sources
        from shepherd.spec import load_spec

        spec = self.spec
        if name is not None and name != spec.name:
            spec = load_spec(name, self.run.library)
            private = {key: value for key, value in (args or {}).items() if key.startswith("_")}
            public = {key: value for key, value in (args or {}).items() if not key.startswith("_")}
            args = {**spec.normalise(public, origin=self.task.origin), **private}
        link = await self.link()
        return await link.run(
            sources.module(spec.path, spec.name),
            dict(self.args if args is None else args),
            check=self.check if check is None else check,
            diff=self.diff if diff is None else diff,
            environment=dict(self._environment) or None,
            timeout=self.timeout,
            upload=upload,
            lane=self.lane,
        )

    def elsewhere(self, name: str) -> Step:
        """The same step on another host of the inventory. Raises ShepherdError where there is none of that name."""
        run = self.run
        state = run.state(name)
        if state is None:
            raise ShepherdError(f"there is no host {name!r} in the inventory", hint=nearest(name, run.inventory.hosts))
        scope = run.variables.task_scope(state, self.task)
        return Step(
            run,
            state,
            self.task,
            scope,
            self.spec,
            self.args,
            check=self.check,
            diff=self.diff,
            timeout=self.timeout,
            environment=self._environment,
            route=lambda: run.router.route(state, self.task, scope, shared=False),
        )

    def several_requests(self) -> None:
        """Called by an action before the first of several: where other items are under way, this one is held back."""
        if self.lane is not None:
            raise NeedsTurn

    def find(self, kind: str, name: str) -> str:
        """The controller's file `name`, looked for in `kind` (files, templates, vars, tasks) along the search path."""
        from shepherd.templating import find_file

        return find_file(kind, name, self.task.search_path or (self.run.playbook_dir,))

    def warn(self, text: str) -> None:
        self.run.emit(Message("warning", text, self.state.name))
