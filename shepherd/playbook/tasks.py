"""Lists of tasks, blocks and static imports, as they are written in a play, a role or a file of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shepherd import spec
from shepherd.errors import ParseError, nearest
from shepherd.origin import Origin, origin_of
from shepherd.playbook import keywords, statement
from shepherd.playbook.model import Block, Loop, LoopControl, Task
from shepherd.playbook.settings import defaults_for, merge
from shepherd.templating import is_template

if TYPE_CHECKING:
    from shepherd.playbook.context import Context
    from shepherd.playbook.statement import Statement

INCLUDES = frozenset(("include_tasks", "include_role"))
IMPORTS = frozenset(("import_tasks", "import_role"))


def read_list(written: Any, context: Context, what: str = "tasks") -> tuple[Task | Block, ...]:
    """The tasks and blocks of a list as it was read from YAML; `what` names it in messages."""
    found: list[Task | Block] = []
    place = origin_of(written) or Origin(context.file)
    for entry in keywords.statements(what, written, place):
        if entry is not None:
            found.extend(_read(entry, context, place))
    return tuple(found)


def read_file(path: str, context: Context, origin: Origin | None = None) -> Block:
    """The tasks of a file. `context` is what imports it."""
    inside = context.in_file(path, origin)
    document = context.loader.document(path)
    if document is not None and not isinstance(document, list):
        shape = "a mapping" if isinstance(document, Mapping) else repr(document)
        raise ParseError(f"a file of tasks must be a list, not {shape}", origin=origin_of(document) or Origin(path))
    return Block(read_list(document, inside), settings=inside.settings, role=inside.role, origin=Origin(path, 1, 1))


def flat(entries: Sequence[Task | Block]) -> Iterator[Task]:
    """Handlers: blocks stand for the tasks in them, since each handler is run on its own."""
    for entry in entries:
        if isinstance(entry, Task):
            yield entry
        elif entry.rescue or entry.always:
            raise ParseError("a block of handlers cannot have rescue or always", origin=entry.origin)
        else:
            yield from flat(entry.tasks)


def _read(entry: Any, context: Context, place: Origin) -> Sequence[Task | Block]:
    if not isinstance(entry, Mapping):
        raise ParseError(
            f"a task must be a mapping of keywords, not {keywords.shape(entry)}",
            origin=origin_of(entry) or place,
            hint="is a ':' missing behind the module's name?" if isinstance(entry, str) else None,
        )
    origin = origin_of(entry) or place
    if "block" in entry:
        return (_block(entry, context, origin),)
    for key in ("rescue", "always"):
        if key in entry:
            raise ParseError(f"'{key}' keyword cannot be used without 'block'", origin=origin_of(entry, key) or origin)
    return _task(entry, context, origin)


def _block(entry: Mapping[Any, Any], context: Context, origin: Origin) -> Block:
    own = keywords.read(entry, keywords.BLOCK_KIND, origin)
    settings = merge(context.settings, own, origin, context.loader.library)
    inside = context.having(settings, own.get("vars"), own.get("notify", ()))
    tasks, rescue, always = (read_list(entry.get(key), inside, key) for key in ("block", "rescue", "always"))
    return Block(tasks, rescue, always, own.get("name"), settings, context.role, origin)


def _task(entry: Mapping[Any, Any], context: Context, origin: Origin) -> Sequence[Task | Block]:
    kind = keywords.HANDLER_KIND if context.handlers else keywords.TASK_KIND
    loader = context.loader
    found = statement.find(entry, kind, loader, origin)
    also = [key for key in entry if key not in kind.table]
    own = keywords.read(entry, kind, origin, also=also)
    if "args" in own:
        found = statement.with_args(found, own["args"], found.origin)
    if "register" in own and not keywords.is_variable_name(str(own["register"])):
        raise ParseError(
            f"Invalid variable name in 'register' specified: '{own['register']}'",
            origin=origin_of(entry, "register") or origin,
        )
    loop = _loop(entry, own, origin)
    if found.action == "import_playbook":
        raise ParseError("import_playbook stands beside plays, at the top level of a playbook", origin=found.origin)
    if found.action in IMPORTS:
        return _import(found, own, loop, context)
    if found.local and own.get("delegate_to") is None:
        own["delegate_to"] = "localhost"
    settings = merge(context.settings, own, origin, loader.library)
    if found.missing is not None and not settings.when:
        raise found.missing
    values = own.get("vars")
    including = found.action in INCLUDES
    if including:
        _check_include(found, entry, own, context)
    task = Task(
        action=found.action,
        written=found.written,
        args=found.args,
        args_template=found.template,
        origin=origin,
        name=own.get("name"),
        settings=settings,
        vars=(values, *context.vars) if values else context.vars,
        params=context.params,
        loop=loop,
        register=own.get("register"),
        until=own.get("until", ()),
        retries=own.get("retries"),
        delay=own.get("delay"),
        changed_when=own.get("changed_when"),
        failed_when=own.get("failed_when"),
        notify=(*own.get("notify", ()), *context.notify),
        listen=own.get("listen", ()),
        background=own.get("async"),
        poll=own.get("poll"),
        role=context.role,
        search_path=context.search_path,
    )
    _check_args(task, found, context)
    if including:
        loader.remember(task, context.having(context.settings, None))
    return (task,)


def _loop(entry: Mapping[Any, Any], own: Mapping[str, Any], origin: Origin) -> Loop | None:
    lookups = [key for key in entry if isinstance(key, str) and key.startswith("with_")]
    given = [key for key in ("loop", *lookups) if key in entry]
    control = LoopControl(**_loop_control(own.get("loop_control") or {}, origin))
    if not given:
        return None
    place = origin_of(entry, given[-1]) or origin
    if len(given) > 1:
        raise ParseError(f"duplicate loop in task: {' and '.join(given)}", origin=place, hint="keep one of them")
    items = entry[given[0]]
    if not lookups:
        return None if items is None else Loop(items, None, control)
    name = given[0].removeprefix("with_")
    from shepherd.templating.lookups import table

    known = table()
    if spec.canonical(name) not in known:
        words = [f"with_{lookup}" for lookup in known]
        raise ParseError(
            f"'{given[0]}' is not a valid attribute for a Task", origin=place, hint=nearest(given[0], words)
        )
    if items is None:
        raise ParseError(f"you must specify a value when using {given[0]}", origin=place)
    return Loop(items, spec.canonical(name), control)


def _loop_control(written: Mapping[Any, Any], origin: Origin) -> dict[str, Any]:
    own = keywords.read(written, keywords.LOOP_CONTROL_KIND, origin_of(written) or origin)
    for name in ("loop_var", "index_var"):
        value = own.get(name)
        if value is not None and not is_template(value) and not keywords.is_variable_name(value):
            raise ParseError(f"Invalid variable name in '{name}' specified: '{value}'", origin=origin_of(written, name))
    return {name: value for name, value in own.items() if value is not None}


def _check_args(task: Task, found: Statement, context: Context) -> None:
    """What can be known of the options before anything is rendered."""
    defaults = defaults_for(task.settings, task.action)
    if found.missing or is_template(task.action) or task.args_template is not None or defaults is None:
        return
    declared = context.loader.spec(task.action)
    try:
        declared.check_names(
            {**defaults, **found.args} if defaults else found.args, found.origin, as_written=found.written
        )
    except spec.OptionError as error:
        keyword = next(
            (name for name in found.args if name in keywords.TASK and name not in declared.options.by_name), None
        )
        if keyword is not None and error.message.startswith("Unsupported"):
            error.origin = origin_of(found.args, keyword) or error.origin
            error.hint = f"'{keyword}' is a keyword of the task: indent it as deep as '{found.written}:'"
        raise


def _check_include(found: Statement, entry: Mapping[Any, Any], own: Mapping[str, Any], context: Context) -> None:
    """An include takes few keywords itself: the others would not hold for what it brings in."""
    for key in own:
        if key not in keywords.INCLUDE:
            name = "TaskInclude" if found.action == "include_tasks" else "IncludeRole"
            raise ParseError(
                f"'{key}' is not a valid attribute for a {name}",
                origin=origin_of(entry, key) or found.origin,
                hint=f"write it below 'apply:', and it holds for all that {found.action} brings in",
            )
    apply = found.args.get("apply")
    if apply is not None and not is_template(apply):
        if not isinstance(apply, Mapping):
            raise ParseError(
                f"Expected a dict for apply but got {keywords.shape(apply)} instead",
                origin=origin_of(found.args, "apply") or found.origin,
            )
        keywords.read(apply, keywords.BLOCK_KIND, origin_of(apply) or found.origin)
    needed = ("file",) if found.action == "include_tasks" else ("name", "role")
    if found.template is None and not any(found.args.get(name) for name in needed):
        message = (
            "No file specified for include_tasks"
            if needed == ("file",)
            else f"'name' is a required field for {found.action}."
        )
        raise ParseError(message, origin=found.origin)
    if context.handlers and found.action == "include_role":
        raise ParseError(f"Using '{found.action}' as a handler is not supported.", origin=found.origin)


def _import(found: Statement, own: dict[str, Any], loop: Loop | None, context: Context) -> Sequence[Task | Block]:
    """import_tasks and import_role: what they name is read now, and stands in their place."""
    if loop is not None:
        instead = found.action.replace("import", "include")
        raise ParseError(
            f"You cannot use loops on '{found.action}' statements. You should use '{instead}' instead.",
            origin=found.origin,
        )
    if found.template is not None:
        raise ParseError(f"the options of {found.action} must be known before anything runs", origin=found.origin)
    context.loader.spec(found.action).check_names(found.args, found.origin, as_written=found.written)
    values = own.get("vars")
    settings = merge(context.settings, own, found.origin, context.loader.library)
    inside = context.having(settings, values, own.get("notify", ()))
    if found.action == "import_role":
        from shepherd.playbook import roles  # roles are lists of tasks, which may import roles

        if context.handlers:
            raise ParseError(f"Using '{found.action}' as a handler is not supported.", origin=found.origin)
        return roles.import_role(found.args, inside, found.origin)
    written = found.args.get("file")
    if not written:
        raise ParseError("No file specified for import_tasks", origin=found.origin)
    name = inside.name(written, "import path", found.origin)
    block = read_file(find_tasks(name, inside, found.origin), inside, found.origin)
    return (block,)


def find_tasks(name: str, context: Context, origin: Origin, *, running: bool = False) -> str:
    """The file of tasks that an import or include means: beside the file it stands in, in the role, in the playbook.

    An include, which is looked for while the play is `running`, finds the role's own files before those beside it.
    """
    name = os.path.expanduser(name)  # noqa: PTH111  # stays text
    places = [os.path.dirname(context.file)]
    if context.role:
        of_role = [os.path.join(context.role.path, "tasks"), context.role.path]
        places = [of_role[0], *places, of_role[1]] if running else [*places, *of_role]
    places += [os.path.join(context.directory, "tasks"), context.directory]
    looked = list(dict.fromkeys(os.path.normpath(os.path.join(place, name)) for place in places))
    for path in looked:
        if os.path.isfile(path):  # noqa: PTH113  # hot: once an import
            return path
    raise ParseError(f"Could not find or access '{name}'", origin=origin, hint="looked for " + ", ".join(looked))
