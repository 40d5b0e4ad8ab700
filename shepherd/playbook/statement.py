"""What a task does: the module and its options, out of the forms that a playbook may write them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd import elsewhere, spec
from shepherd.arguments import COMMAND_OPTIONS, FREE_FORM, parse_kv, placed, split_words
from shepherd.errors import ParseError, nearest
from shepherd.origin import Origin, origin_of
from shepherd.playbook.keywords import PLAY, Kind, shape, unknown
from shepherd.templating import is_template

if TYPE_CHECKING:
    from shepherd.playbook.context import Loader

COMMANDS = frozenset(("command", "raw", "script", "shell"))  # their text is a command line, not options
_LOOP = "with_"


class Statement(NamedTuple):
    """`action` is canonical, or a template; `written` as spelled. `template` stands for options not known yet."""

    action: str
    written: str
    args: Mapping[str, Any]
    origin: Origin
    template: Any = None
    local: bool = False  # local_action
    missing: ParseError | None = None  # a module that Shepherd does not have: wrong where the task is sure to run


def find(task: Mapping[Any, Any], kind: Kind, loader: Loader, origin: Origin) -> Statement:
    """The one action of a task. Raises ParseError where there is none, more than one, or an unknown one."""
    modules = [key for key in task if key not in kind.table and not (isinstance(key, str) and key.startswith(_LOOP))]
    general = [key for key in ("action", "local_action") if key in task]
    if len(modules) + len(general) != 1:
        raise _not_one(task, modules, general, kind, loader, origin)
    key = (general or modules)[0]
    place = origin_of(task, key) or origin
    if general:
        written, value = _action(task[key], place)
    else:
        written, value = str(key), task[key]
    if is_template(written):
        args, template = _options(value, None, written, place)
        return Statement(written, written, args, place, template, key == "local_action")
    action = spec.canonical(written)
    if spec.find(action, loader.library) is None:
        missing = _unknown(written, kind, task, loader, place)
        if elsewhere.collection_of(action) is None:
            raise missing
        args, template = _options(value, None, written, place)
        return Statement(action, written, args, place, template, key == "local_action", missing)
    found = loader.spec(action)
    args, template = _options(value, found, written, place)
    return Statement(action, written, args, place, template, key == "local_action")


def with_args(statement: Statement, args: Any, origin: Origin) -> Statement:
    """The options of the keyword `args`, which those beside the module's name override."""
    if args is None:
        return statement
    if isinstance(args, Mapping):
        return statement._replace(args={**args, **statement.args})
    if is_template(args):
        return statement._replace(template=args)
    raise ParseError(
        "args must be a mapping, or a template that gives one ('{{ name }}')",
        origin=origin_of(args) or origin,
    )


def _action(value: Any, origin: Origin) -> tuple[str, Any]:
    """`action:` and `local_action:`: the module's name first in a text, or under `module` in a mapping."""
    if isinstance(value, str):
        name, rest = _first_word(value)
        return name, rest
    if isinstance(value, Mapping):
        module = value.get("module")
        if not isinstance(module, str):
            raise ParseError("no module/action detected in task.", origin=origin, hint="name it under `module`")
        name, rest = _first_word(module)
        args = {key: inner for key, inner in value.items() if key not in ("module", "args")}
        if isinstance(value.get("args"), Mapping):
            args = {**value["args"], **args}
        return name, {**parse_kv(rest), **args} if rest.strip() else args
    raise ParseError(f"unexpected parameter type in action: {shape(value)}", origin=origin)


def _first_word(text: str) -> tuple[str, str]:
    """The module's name, which may be a template with spaces in it, and what follows."""
    words = split_words(text.strip())
    name = words[0].strip() if words else ""
    return name, placed(text.strip()[len(name) :].strip(), text)


def _options(value: Any, found: spec.Spec | None, written: str, origin: Origin) -> tuple[Mapping[str, Any], Any]:
    """The options in what stands behind a module's name, and a template that will give more of them."""
    free = found.free_form if found else None
    if value is None:
        return {}, None
    if isinstance(value, str):
        return _from_text(value, found, written, origin)
    if isinstance(value, Mapping):
        if free and FREE_FORM in value:
            value = {free: value[FREE_FORM], **{name: inner for name, inner in value.items() if name != FREE_FORM}}
        return value, None
    if free and not isinstance(value, list):  # `pause: 5`
        return {free: str(value)}, None
    raise ParseError(
        f"unexpected parameter type in action: {shape(value)}",
        origin=origin_of(value) or origin,
        hint=f"write the options of {written} as a mapping",
    )


def _from_text(text: str, found: spec.Spec | None, written: str, origin: Origin) -> tuple[Mapping[str, Any], Any]:
    command = found is not None and found.name in COMMANDS
    try:
        args = parse_kv(text, known=COMMAND_OPTIONS if command else None)
    except ParseError as error:
        error.origin = error.origin or origin
        raise
    rest = args.pop(FREE_FORM, None)
    if rest is None:
        return args, None
    if found is not None and found.free_form:
        return {found.free_form: rest, **args}, None
    if not args and is_template(rest):
        return {}, rest
    raise ParseError(
        f"this task '{written}' has extra params, which is only allowed in modules that take text: {rest.strip()!r}",
        origin=origin_of(text) or origin,
        hint="write key=value, with quotes around a value that has spaces, or write the options as YAML, one a line",
    )


def _not_one(
    task: Mapping[Any, Any], modules: list[Any], general: list[str], kind: Kind, loader: Loader, origin: Origin
) -> ParseError:
    """A task with no action, or with several: a keyword that is misspelt, or an option that stands too far out."""
    if not modules and not general:
        return ParseError(
            "no module/action detected in task.", origin=origin, hint="name a module, such as 'command' or 'copy'"
        )
    known = [name for name in modules if spec.find(spec.canonical(str(name)), loader.library)]
    strange = [name for name in modules if name not in known]
    if len(known) + len(general) == 1 and len(strange) == 1 and isinstance(strange[0], str):
        key = strange[0]
        place = origin_of(task, key) or origin
        if known:
            options = loader.spec(known[0]).options
            if key in options.by_name or key in options.aliases:
                return ParseError(
                    f"'{key}' is not a valid attribute for a {kind.name}",
                    origin=place,
                    hint=f"'{key}' is an option of {known[0]}: indent it below '{known[0]}:'",
                )
        return unknown(key, kind, task, origin)
    names = [_shown(task, key) for key in task if key in modules or key in general]
    return ParseError(
        f"conflicting action statements: {', '.join(names)}",
        origin=origin_of(task, ([*modules, *general])[-1]) or origin,
        hint="this is a play; plays stand at the top level of a playbook"
        if "hosts" in modules
        else "a task has one module: begin the next task with '- '",
    )


def _shown(task: Mapping[Any, Any], key: Any) -> str:
    if key in ("action", "local_action") and isinstance(task[key], str):
        return f"{key}: {task[key].split(' ')[0]}"
    return str(key)


def _unknown(written: str, kind: Kind, task: Mapping[Any, Any], loader: Loader, origin: Origin) -> ParseError:
    """A name that is no module's: misspelt, a keyword, or of a collection that Shepherd does not have."""
    similar = nearest(spec.canonical(written), [*spec.names(loader.library), *kind.table])
    collection = elsewhere.collection_of(spec.canonical(written))
    if collection is not None:
        similar = f"it is a module of {collection} that Shepherd does not have yet; `shepherd doc` lists those it has"
    elif written in PLAY and "hosts" in task:
        similar = "this is a play; plays stand at the top level of a playbook"
    return ParseError(
        f"couldn't resolve module/action '{written}'. This often indicates a misspelling, missing collection, or "
        "incorrect module path.",
        origin=origin,
        hint=similar,
    )
