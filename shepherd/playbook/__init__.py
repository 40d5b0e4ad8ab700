"""Playbooks: YAML files read into the frozen plays, blocks and tasks of `model`, checked before anything runs.

`load` reads a playbook with everything that it imports statically. `load_tasks` and `load_role` read what an include
names while the play runs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError
from shepherd.playbook import keywords, plays, roles, tasks
from shepherd.playbook.context import ROLES_PATH, Collected, Context, Loader
from shepherd.playbook.model import Block, Playbook, Role, Task
from shepherd.playbook.settings import defaults_for, merge
from shepherd.playbook.tags import selected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ROLES_PATH", "Loader", "defaults_for", "find_tasks", "load", "load_role", "load_tasks", "selected"]


def load(path: str, *, loader: Loader) -> Playbook:
    """The playbook in a file. Raises ParseError for anything in it that cannot be run, with the place."""
    if not os.path.exists(path):
        raise ShepherdError(f"the playbook: {path} could not be found")
    return Playbook(path, plays.read_playbook(path, loader))


def load_tasks(
    path: str,
    *,
    parent: Task,
    loader: Loader,
    apply: Mapping[str, Any] | None = None,
    variables: Sequence[Mapping[str, Any]] = (),
) -> Block:
    """The tasks of a file that the task `parent` (an include_tasks) names: in what it stands in, not in itself.

    `apply` are keywords for all of them. `variables` (a loop's item) stand before the include's own `vars`.
    """
    context = _inside(parent, loader, apply or {}, variables)
    return tasks.read_file(path, context._replace(imports=()), parent.origin)


def load_role(
    name: str,
    *,
    parent: Task,
    loader: Loader,
    options: Mapping[str, Any] | None = None,
    variables: Sequence[Mapping[str, Any]] = (),
) -> tuple[Role, Block, tuple[Task, ...]]:
    """A role that the task `parent` (an include_role) names, its tasks and its dependencies', and its handlers.

    `options` are the task's, rendered. Raises ParseError.
    """
    options = {**(options or {}), "name": name}
    context = _inside(parent, loader, options.get("apply") or {}, variables)
    context = context._replace(imports=(), collected=Collected(), handlers=False)
    blocks = roles.use(roles.wanted(options, context, parent.origin, "include_role"), context)
    role = blocks[-1].role
    assert role is not None  # the last block is the role's own
    block = blocks[0] if len(blocks) == 1 else Block(blocks, settings=context.settings, role=role, origin=parent.origin)
    return role, block, context.collected.all_handlers()


def _inside(parent: Task, loader: Loader, apply: Mapping[str, Any], variables: Sequence[Mapping[str, Any]]) -> Context:
    """The context of what an include brings in. Its own `vars` are those before the ones that it stands in."""
    context = loader.context_of(parent)
    own = parent.vars[: len(parent.vars) - len(context.vars)]
    read = keywords.read(apply, keywords.BLOCK_KIND, parent.origin)
    settings = merge(context.settings, read, parent.origin, loader.library)
    inside = context.having(settings, read.get("vars"), read.get("notify", ()))
    return inside._replace(params=(*variables, *own, *context.params))


def find_tasks(name: str, *, parent: Task, loader: Loader) -> str:
    """The file that an include_tasks names. Raises ParseError, which lists where it looked."""
    return tasks.find_tasks(name, loader.context_of(parent), parent.origin, running=True)
