"""A play as one block: fact gathering, its sections, the flushes between them, without what the tags leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.playbook import selected
from shepherd.playbook.model import Block, Settings, Task

if TYPE_CHECKING:
    from shepherd.playbook.model import Play


def plan_of(play: Play, tags: tuple[str, ...], skip_tags: tuple[str, ...], *, gather: bool) -> Block:
    """The whole play as one block: fact gathering, then each section with a flush of handlers behind it."""
    flushing = flush(play)
    parts: list[Block | Task] = []
    if gather:
        parts.append(_gathering(play))
    for section in (Block((play.pre_tasks,)), Block((*play.roles, play.tasks)), Block((play.post_tasks,))):
        kept = prune(section, tags, skip_tags)
        if kept is not None:
            parts.append(kept)
        parts.append(flushing)
    kept = prune(Block(tuple(parts)), tags, skip_tags)
    return kept or Block((flushing,))


def flush(play: Play) -> Task:
    """The task that runs what was notified."""
    return Task(
        action="meta",
        args={"free_form": "flush_handlers"},
        origin=play.origin,
        settings=Settings(tags=frozenset({"always"})),
        implicit=True,
    )


def prune(block: Block, tags: tuple[str, ...], skip_tags: tuple[str, ...]) -> Block | None:
    """`block` without the tasks that the tags leave out; None where nothing is left."""
    if tags == ("all",) and not skip_tags:
        wanted, unwanted = frozenset({"all"}), frozenset[str]()
    else:
        wanted, unwanted = frozenset(tags), frozenset(skip_tags)

    def keep(items: tuple[Task | Block, ...]) -> tuple[Task | Block, ...]:
        kept: list[Task | Block] = []
        for item in items:
            if isinstance(item, Task):
                if selected(item, wanted, unwanted) or (item.implicit and item.action == "meta"):
                    kept.append(item)
            elif (inner := walk(item)) is not None:
                kept.append(inner)
        return tuple(kept)

    def walk(block: Block) -> Block | None:
        tasks, rescue, always = keep(block.tasks), keep(block.rescue), keep(block.always)
        if (tasks, rescue, always) == (block.tasks, block.rescue, block.always):
            return block if tasks or always else None
        if not tasks and not always:
            return None
        return Block(tasks, rescue, always, block.name, block.settings, block.role, block.origin)

    return walk(block)


def _gathering(play: Play) -> Task:
    args = {
        name: value
        for name, value in (
            ("gather_subset", play.gather_subset),
            ("gather_timeout", play.gather_timeout),
            ("fact_path", play.fact_path),
        )
        if value is not None
    }
    settings = play.settings
    return Task(
        action="setup",
        args=args,
        origin=play.origin,
        name="Gathering Facts",
        settings=Settings(
            when=settings.when,  # of import_playbook
            tags=settings.tags or frozenset({"always"}),
            environment=settings.environment,
            module_defaults=settings.module_defaults,
            become=settings.become,
            become_user=settings.become_user,
            become_method=settings.become_method,
            become_flags=settings.become_flags,
            become_exe=settings.become_exe,
            connection=settings.connection,
            remote_user=settings.remote_user,
            port=settings.port,
            ignore_errors=settings.ignore_errors,
            ignore_unreachable=settings.ignore_unreachable,
            timeout=settings.timeout,
        ),
        implicit=True,
    )
