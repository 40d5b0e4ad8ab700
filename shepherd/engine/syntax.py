"""The syntax of all templates of a play, looked at before its first task runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shepherd.playbook.model import Block

if TYPE_CHECKING:
    from shepherd.playbook.model import Play, Task
    from shepherd.templating import Templates


def check(play: Play, templates: Templates) -> None:
    """Parse what the tasks and handlers of `play` hold. Raises TemplateError with the place of the first that is wrong.

    Files of templates and of included tasks are read when they are needed, and checked then.
    """
    for section in (play.pre_tasks, *play.roles, play.tasks, play.post_tasks, Block(play.handlers)):
        for task in _tasks(section):
            for text in _texts((task.args, task.name, task.loop.items if task.loop else None, task.settings.environment)):
                templates.check(text)
            for text in _texts(_conditions(task)):
                templates.check_condition(text)


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
