"""Names on the command line that the playbooks do not have: tags, the task to start at."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError, nearest
from shepherd.playbook.model import Block

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from shepherd.playbook.model import Playbook, Task

SPECIAL = frozenset(("all", "always", "never", "tagged", "untagged"))
INCLUDES = ("include_tasks", "include_role")  # what they bring is known only while playing


def tasks(playbooks: Collection[Playbook]) -> list[Task]:
    """All tasks that can be read beforehand."""
    blocks = [
        block
        for playbook in playbooks
        for play in playbook.plays
        for block in (play.pre_tasks, *play.roles, play.tasks, play.post_tasks, Block(play.handlers))
    ]
    return [task for block in blocks for task in block.walk()]


def unknown_tags(found: Collection[Task], wanted: Collection[str]) -> Iterator[str]:
    """A word about each tag that no task has; nothing where tasks are included whose tags cannot be known."""
    known = {str(tag) for task in found for tag in task.settings.tags}
    if any("{" in tag for tag in known) or any(task.action in INCLUDES for task in found):
        return
    for tag in wanted:
        if tag not in known | SPECIAL:
            hint = nearest(tag, known)
            yield f"no task has the tag {tag!r}" + (f": {hint}" if hint else "")


def check_start(found: Collection[Task], pattern: str) -> None:
    """Raises ShepherdError where no task can be the one to start at: includes are not followed before that one."""
    names = [name for task in found if task.name for name in _names(task)]
    if any("{" in name for name in names):
        return  # what they are called is seen while playing
    if not any(fnmatchcase(name, pattern) for name in (*names, *(task.action for task in found))):
        raise no_start(pattern, names)


def no_start(pattern: str, names: Collection[str] = ()) -> ShepherdError:
    return ShepherdError(
        f'No matching task "{pattern}" found. Note: --start-at-task can only follow static includes.',
        hint=nearest(pattern, names) or "--list-tasks shows their names",
    )


def _names(task: Task) -> tuple[str, ...]:
    return (task.name or "", f"{task.role.name} : {task.name}") if task.role else (task.name or "",)
