"""What a playbook says, frozen: plays of blocks of tasks, with every inherited keyword already merged in.

The loader makes these; the engine walks them. Nothing here is rendered: templates stay text until the step runs.
Static imports (`import_tasks`, `import_role`, `roles:`) are already expanded; `include_*` are ordinary tasks.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shepherd.origin import Origin

# A tuple costs a tenth of a frozen dataclass to define, which every start of the command would pay for.
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Settings(NamedTuple):
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


class LoopControl(NamedTuple):
    loop_var: str = "item"
    index_var: str | None = None
    label: Any = None
    pause: Any = None
    extended: Any = None
    extended_allitems: Any = None
    break_when: tuple[Any, ...] = ()


class Loop(NamedTuple):
    """`lookup` is None for `loop:`, else the name behind `with_`; `items` is what was written, not rendered."""

    items: Any
    lookup: str | None = None
    control: LoopControl = LoopControl()


class Role(NamedTuple):
    """One use of a role in a play, with its files found and its variables read.

    `defaults` and `vars` are the role's own files; `params` what the play wrote beside the role's name and the
    keywords (`vars:` there is a layer of the tasks' vars). `parents` are the roles that pulled it in as a dependency,
    nearest first. `dependencies` are the uses this one pulled in, in order. Identity matters: equality is `is`.

    Uses with the same `key` are the same: unless `allow_duplicates`, a host that ran one of them, dependency or not,
    passes over the others in that play.
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
    key: str = ""
    dependency: bool = False  # pulled in by the meta file of parents[0]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Task(NamedTuple):
    """One task. `vars` are layers, nearest first: the task's own, then its blocks' outwards (not the play's).

    `params` are the variables of the includes that brought it, nearest first: they stand above facts that were set.

    `action` is the module's short name (`copy` for `ansible.builtin.copy`; other collections keep their full name);
    it may be a template (`action: "{{ ansible_pkg_mgr }} name=x"`). `written` is the name as the user spelled it.
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
    params: tuple[Mapping[str, Any], ...] = ()
    written: str = ""

    @property
    def called(self) -> str:
        """What its answers are filed under: its name as written, else its module's and that of a role."""
        if self.name:
            return self.name
        module = self.written or self.action
        if self.action == "include_role":
            return f"{module} : {self.args.get('name') or self.args.get('role')}"
        return f"{self.role.name} : {module}" if self.role else module

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Block(NamedTuple):
    """Tasks that stand together. A plain list of tasks is a Block with neither rescue nor always."""

    tasks: tuple[Task | Block, ...] = ()
    rescue: tuple[Task | Block, ...] = ()
    always: tuple[Task | Block, ...] = ()
    name: str | None = None
    settings: Settings = Settings()
    role: Role | None = None
    origin: Origin | None = None

    def walk(self) -> Iterator[Task]:
        """All tasks in it, also those of rescue and always."""
        for entry in (*self.tasks, *self.rescue, *self.always):
            if isinstance(entry, Block):
                yield from entry.walk()
            else:
                yield entry

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Play(NamedTuple):
    """One play. The sections are separate, because handlers are flushed between them.

    `roles` holds one Block for each use of a role (dependencies first). `all_roles` are those uses, flat, in order.
    `handlers` are the roles' first, then the play's own; of those with the same name the last one counts.
    """

    name: str
    hosts: Any
    origin: Origin
    path: str  # of the playbook file
    settings: Settings = Settings()
    vars: Mapping[str, Any] = NOTHING
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

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Playbook(NamedTuple):
    path: str
    plays: tuple[Play, ...]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)
