"""What --list-tasks, --list-tags, --list-hosts and --syntax-check print, line by line as ansible-playbook prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.playbook.model import Task
from shepherd.playbook.tags import matches, rendered
from shepherd.templating import Layer, Scope, Templates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from shepherd.inventory import Inventory
    from shepherd.playbook.model import Block, Play, Playbook

Selection = tuple["Collection[str]", "Collection[str]"]


def lines(
    playbook: Playbook,
    inventory: Inventory | None = None,
    *,
    hosts: bool = False,
    tasks: bool = False,
    tags: bool = False,
    limit: str | None = None,
    selection: Selection = ((), ()),
    extra_vars: Mapping[str, Any] | None = None,
    templates: Templates | None = None,
) -> Iterator[str]:
    """The listing of a playbook. With neither hosts, tasks nor tags only its name: its syntax is right.

    `selection` are the tags wanted and unwanted. Names of plays, and tags, are rendered with the play's variables;
    names of tasks are not.
    """
    yield ""
    yield f"playbook: {playbook.path}"
    if not (hosts or tasks or tags):
        return
    templates = templates or Templates()
    for number, play in enumerate(playbook.plays, 1):
        scope = Scope([Layer(extra_vars or {}), Layer(play.vars)], templates)
        pattern = _render(play.hosts, scope)
        patterns = [str(part) for part in pattern] if isinstance(pattern, list) else [str(pattern)]
        shown = ",".join(patterns)
        name = _render(play.name, scope) if play.name else shown
        own = sorted(_tags(play.settings.tags, scope))
        yield ""
        yield f"  play #{number} ({shown}): {name}\tTAGS: [{','.join(own)}]"
        if hosts and inventory is not None:
            found = [host.name for host in inventory.select(pattern, limit)]
            yield f"    pattern: {patterns}"
            yield f"    hosts ({len(found)}):"
            yield from (f"      {host}" for host in found)
        if tasks or tags:
            yield from _tasks(play, scope, tasks, tags, selection)


def _tasks(play: Play, scope: Scope, tasks: bool, tags: bool, selection: Selection) -> Iterator[str]:
    wanted, unwanted = selection
    if tags and not unwanted and set(wanted) <= {"all"}:
        wanted = ("all", "never")  # who asks which tags there are wants to see them all
    every = set(_tags(play.settings.tags, scope))
    if tasks:
        yield "    tasks:"
    for block in (play.pre_tasks, *play.roles, play.tasks, play.post_tasks):
        for task in _flat(block.tasks):
            own = _tags(task.settings.tags, scope)
            if matches(own, wanted, unwanted):
                every |= own
                if tasks:
                    yield f"      {title(task)}\tTAGS: [{', '.join(sorted(own))}]"
    if tags:
        yield f"      TASK TAGS: [{', '.join(sorted(every))}]"


def title(task: Task) -> str:
    """What a task is called where nothing is rendered: its name with its role's, or its action."""
    if not task.name:
        return task.written or task.action
    return f"{task.role.name} : {task.name}" if task.role else task.name


def _flat(entries: Sequence[Task | Block]) -> Iterator[Task]:
    """The tasks that run when nothing fails: what rescues and what runs always is left out, as Ansible does."""
    for entry in entries:
        if isinstance(entry, Task):
            yield entry
        else:
            yield from _flat(entry.tasks)


def _tags(written: Collection[str], scope: Scope) -> frozenset[str]:
    return rendered(written, lambda tag: _render(tag, scope))


def _render(value: Any, scope: Scope) -> Any:
    """A host's variables are not known here: what needs them stays as it is written."""
    try:
        return scope.templates.render(value, scope)
    except TemplateError:
        return value
