"""What a playbook says, frozen: plays of blocks of tasks, with every inherited keyword already merged in.

The loader makes these; the engine walks them. Nothing here is rendered: templates stay text until the step runs.
Static imports (`import_tasks`, `import_role`, `roles:`) are already expanded; `include_*` are ordinary tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shepherd.origin import Origin


@dataclass(frozen=True, slots=True)
class Settings:
    """The keywords that a task inherits from its block, role and play: the nearest that is set wins.

    None means that nobody set it. Values may be templates. Four of them gather instead of overriding: `when`
    (outermost first, all must hold), `tags` (union), `environment` (outermost first, later ones win key by key) and
    `module_defaults` (likewise).
    """

    when: tuple[Any, ...] = ()
    tags: frozenset[str] = frozenset()
    environment: tuple[Any, ...] = ()
    module_defaults: tuple[Mapping[str, Any], ...] = ()
    become: Any = None
    become_user: Any = None
    become_method: Any = None
    become_flags: Any = None
    become_exe: Any = None
    connection: Any = None
    remote_user: Any = None
    port: Any = None
    check_mode: Any = None
    diff: Any = None
    no_log: Any = None
    ignore_errors: Any = None
    ignore_unreachable: Any = None
    any_errors_fatal: Any = None
    throttle: Any = None
    timeout: Any = None
    run_once: Any = None
    delegate_to: Any = None
    delegate_facts: Any = None
    debugger: Any = None
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopControl:
    loop_var: str = "item"
    index_var: str | None = None
    label: Any = None
    pause: Any = None
    extended: Any = None
    extended_allitems: Any = None
    break_when: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    """`lookup` is None for `loop:`, else the name behind `with_`; `items` is what was written, not rendered."""

    items: Any
    lookup: str | None = None
    control: LoopControl = LoopControl()


@dataclass(frozen=True, slots=True, eq=False)
class Role:
    """One use of a role in a play, with its files found and its variables read.

    `defaults` and `vars` are the role's own files; `params` what the play wrote beside the role's name (including
    `vars:` there, params win). `parents` are the roles that pulled it in as a dependency, nearest first.
    `dependencies` are the uses this one pulled in, in order. Identity matters: equality is `is`.
    """

    name: str
    path: str
    defaults: Mapping[str, Any]
    vars: Mapping[str, Any]
    params: Mapping[str, Any]
    parents: tuple[Role, ...] = ()
    dependencies: tuple[Role, ...] = ()
    allow_duplicates: bool = False
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One task. `vars` are layers, nearest first: the task's own, then its blocks' outwards (not the play's).

    `action` is the module's short name (`copy` for `ansible.builtin.copy`; other collections keep their full name).
    `args` are the options as written; a free-form text stands under the module's `free_form` option.
    `search_path` are the directories relative files are looked for in, nearest first: role, its parents, the file's
    own directory, the playbook's.
    """

    action: str
    args: Mapping[str, Any]
    origin: Origin
    name: str | None = None
    settings: Settings = Settings()
    vars: tuple[Mapping[str, Any], ...] = ()
    loop: Loop | None = None
    register: str | None = None
    until: tuple[Any, ...] = ()
    retries: Any = None
    delay: Any = None
    changed_when: tuple[Any, ...] | None = None
    failed_when: tuple[Any, ...] | None = None
    notify: tuple[Any, ...] = ()
    listen: tuple[str, ...] = ()
    background: Any = None  # `async`
    poll: Any = None
    role: Role | None = None
    search_path: tuple[str, ...] = ()
    args_template: Any = None  # `args: "{{ mapping }}"`: rendered when the task runs, under the written options
    implicit: bool = False  # made by us (fact gathering, flush_handlers), not written by the user


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Tasks that stand together. A plain list of tasks is a Block with neither rescue nor always."""

    tasks: tuple[Task | Block, ...] = ()
    rescue: tuple[Task | Block, ...] = ()
    always: tuple[Task | Block, ...] = ()
    name: str | None = None
    settings: Settings = Settings()
    role: Role | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Play:
    """One play. The sections are separate, because handlers are flushed between them.

    `roles` holds one Block for each use of a role (dependencies first). `all_roles` are those uses, flat, in order.
    `handlers` are the play's own first, then the roles'.
    """

    name: str
    hosts: Any
    origin: Origin
    path: str  # of the playbook file
    settings: Settings = Settings()
    vars: Mapping[str, Any] = field(default_factory=dict)
    vars_files: tuple[Any, ...] = ()
    vars_prompt: tuple[Mapping[str, Any], ...] = ()
    gather_facts: Any = None
    gather_subset: Any = None
    gather_timeout: Any = None
    fact_path: Any = None
    serial: tuple[Any, ...] = ()
    strategy: Any = None
    order: Any = None
    max_fail_percentage: Any = None
    force_handlers: Any = None
    pre_tasks: Block = Block()
    roles: tuple[Block, ...] = ()
    all_roles: tuple[Role, ...] = ()
    tasks: Block = Block()
    post_tasks: Block = Block()
    handlers: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Playbook:
    path: str
    plays: tuple[Play, ...]
