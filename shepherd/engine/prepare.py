"""From a task as it is written to a step that can be run: its options, mode, time and environment, rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shepherd.engine.step import Step
from shepherd.engine.values import seconds, truth
from shepherd.errors import ParseError, UndefinedVariable
from shepherd.playbook.settings import nearest_defaults
from shepherd.spec import Spec, canonical, load_spec
from shepherd.templating import Scope, drop_omitted, is_template

if TYPE_CHECKING:
    from shepherd.engine.execute import Execution
    from shepherd.engine.run import Run
    from shepherd.playbook.model import Task


def step(execution: Execution, scope: Scope) -> Step:
    """What the module's action is given. Raises what is wrong with the options, with their place."""
    run, task = execution.run, execution.task
    settings, render = task.settings, run.templates.render
    spec, args = _options(run, task, scope)
    execution.action = spec.name

    def chosen(written: Any, otherwise: bool) -> bool:
        return otherwise if written is None else truth(render(written, scope))

    timeout = seconds("timeout", render(settings.timeout, scope)) or run.options.task_timeout
    if task.background is not None:
        timeout = seconds("async", render(task.background, scope)) or timeout
    return Step(
        run,
        execution.state,
        task,
        scope,
        spec,
        args,
        check=chosen(settings.check_mode, run.options.check),
        diff=chosen(settings.diff, run.options.diff) and not execution.no_log,
        timeout=timeout or None,
        environment=_environment(task, scope),
        lane=execution.lane,
        route=lambda: execution.route(scope),
    )


def _options(run: Run, task: Task, scope: Scope) -> tuple[Spec, dict[str, Any]]:
    """The module and its options; worked out once where nothing in them is a template."""
    kept = run.static_args.get(task)
    if kept is not None:
        return kept[0], dict(kept[1])
    render = run.templates.render
    named = is_template(task.action)
    spec = load_spec(canonical(str(render(task.action, scope))) if named else task.action, run.library)
    static = (
        task.args_template is None and not task.settings.module_defaults and not named and not _templated(task.args)
    )
    defaults = render(nearest_defaults(task.settings, spec.name), scope)
    written: dict[str, Any] = drop_omitted(defaults) if defaults else {}
    if task.args_template is not None:
        more = render(task.args_template, scope)
        if not isinstance(more, Mapping):
            raise ParseError(f"args is a {type(more).__name__}, not a mapping", origin=task.origin)
        written.update(drop_omitted(more))
    if task.args:
        written.update(drop_omitted(render(task.args, scope)))
    args = spec.normalise(written, origin=task.origin)
    if static:
        run.static_args[task] = (spec, args)
    return spec, dict(args)


def _environment(task: Task, scope: Scope) -> dict[str, str]:
    merged: dict[str, str] = {}
    for written in task.settings.environment:
        layers = _known(written, scope) if task.action == "setup" else scope.templates.render(written, scope)
        for layer in layers if isinstance(layers, list) else [layers]:
            if isinstance(layer, Mapping):
                merged.update({str(name): str(value) for name, value in drop_omitted(layer).items()})
            elif layer:
                raise ParseError(f"environment is a {type(layer).__name__}, not a mapping", origin=task.origin)
    return merged


def _known(written: Any, scope: Scope) -> Any:
    """An environment for fact gathering, without what is made of the environment that it is about to find out."""
    if not isinstance(written, Mapping):
        return scope.templates.render(written, scope)
    found = {}
    for name, value in written.items():
        try:
            found[name] = scope.templates.render(value, scope)
        except UndefinedVariable as error:
            if error.name != "ansible_env":
                raise
    return found


def _templated(value: Any) -> bool:
    return any(is_template(text) for text in _strings(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)
