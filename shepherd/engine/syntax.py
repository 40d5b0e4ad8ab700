"""What can be known to be wrong with a play before its first task runs: templates that are not well written, and
keywords that mean something which is not there yet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError, TemplateError
from shepherd.playbook.model import Block

if TYPE_CHECKING:
    from shepherd.playbook.model import Playbook, Task
    from shepherd.templating import Templates


class Unsupported(UserWarning):
    """A keyword without effect."""


def check(playbooks: list[Playbook], templates: Templates) -> None:
    """Parse what the tasks and handlers hold. Raises ParseError with the place of the first mistake.

    Files of templates and of included tasks are read when they are needed, and checked then.
    """
    for playbook in playbooks:
        for play in playbook.plays:
            for section in (play.pre_tasks, *play.roles, play.tasks, play.post_tasks, Block(play.handlers)):
                for task in _tasks(section):
                    try:
                        _check(task, templates)
                    except TemplateError as error:
                        raise ParseError(error.message, origin=error.origin, hint=error.hint) from None


def _check(task: Task, templates: Templates) -> None:
    _supported(task)
    for text in _texts((task.args, task.name, task.loop.items if task.loop else None, task.settings.environment)):
        templates.check(text)
    for text in _texts(_conditions(task)):
        templates.check_condition(text)


def _supported(task: Task) -> None:
    if task.background is not None and str(task.poll) == "0":
        raise ParseError(
            "a task that is left running (async with poll: 0) is not supported yet",
            origin=task.origin,
            hint="with a poll above 0 the play waits for it, at most the seconds that async gives",
        )
    if task.settings.debugger not in (None, "never"):
        warnings.warn(Unsupported(f"{task.origin}: there is no debugger; the keyword has no effect"), stacklevel=2)


def _conditions(task: Task) -> tuple[Any, ...]:
    own = (task.until, task.changed_when, task.failed_when, task.settings.when)
    return (*own, task.args.get("that")) if task.action == "assert" else own


def _tasks(block: Block) -> Iterator[Task]:
    for item in (*block.tasks, *block.rescue, *block.always):
        if isinstance(item, Block):
            yield from _tasks(item)
        else:
            yield item


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if not getattr(value, "literal", False):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
