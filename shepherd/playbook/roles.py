"""Roles: found, read, and used with their dependencies, statically or while a play runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.conversions import to_bool
from shepherd.errors import ParseError, nearest
from shepherd.origin import Origin, origin_of
from shepherd.playbook import keywords, tasks
from shepherd.playbook.model import NOTHING, Block, Role
from shepherd.playbook.settings import merge
from shepherd.templating import is_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shepherd.playbook.context import Context, Loader

ENDINGS = (".yml", ".yaml", ".json")
_PARTS = ("tasks", "handlers", "vars", "defaults")


class Use(NamedTuple):
    """One use of a role, as written. `parts` name the files to take instead of main.

    `public`: the play sees the role's variables.
    """

    name: str
    origin: Origin
    params: Mapping[str, Any]
    parts: Mapping[str, str]
    allow_duplicates: bool | None = None  # None: as the role's meta says
    public: bool = True
    own: Mapping[str, Any] = NOTHING  # the keywords beside its name: they make two uses differ
    listed: bool = False  # among `roles` or `dependencies`, not imported or included by a task


def read_entry(entry: Any, context: Context, place: Origin) -> tuple[Block, ...]:
    """An entry of a play's `roles` or of a role's `dependencies`: its dependencies' blocks and its own."""
    origin = origin_of(entry) or place
    if isinstance(entry, str):
        return use(Use(context.name(entry, "role name", origin), origin, {}, {}, listed=True), context)
    if not isinstance(entry, Mapping):
        raise ParseError(f"Invalid role definition: {keywords.shape(entry)}", origin=origin)
    written = entry.get("role", entry.get("name"))
    if written is None or written == "":
        raise ParseError("role definitions must contain a role name", origin=origin, hint="name it under 'role'")
    if not isinstance(written, str):
        raise ParseError(f"a role's name must be a string, not {keywords.shape(written)}", origin=origin)
    own = {name: value for name, value in entry.items() if name in keywords.ROLE}
    params = {name: value for name, value in entry.items() if name not in keywords.ROLE}
    read = keywords.read(own, keywords.ROLE_KIND, origin)
    values = read.get("vars")
    name = context.name(written, "role name", origin, {**(values or {}), **params})
    inside = context.having(merge(context.settings, read, origin, context.loader.library), values)
    differing = {key: value for key, value in own.items() if key not in ("role", "name")}
    wanted = Use(name, origin, params, {}, own=differing, listed=True)
    return use(wanted, inside)


def import_role(args: Mapping[str, Any], context: Context, origin: Origin) -> tuple[Block, ...]:
    return use(wanted(args, context, origin, "import_role"), context)


def wanted(args: Mapping[str, Any], context: Context, origin: Origin, action: str) -> Use:
    """What the options of import_role or include_role ask for."""
    written = args.get("name", args.get("role"))
    if not written:
        raise ParseError(f"'name' is a required field for {action}.", origin=origin)
    parts = {}
    for part in _PARTS:
        file = args.get(f"{part}_from")
        if file is not None:
            parts[part] = context.name(file, f"{part}_from", origin)
    return Use(
        context.name(written, "role name", origin),
        origin,
        {},
        parts,
        allow_duplicates=_flag(args, "allow_duplicates", True, context, origin),
        public=_flag(args, "public", action == "import_role", context, origin),
    )


def use(wanted: Use, context: Context) -> tuple[Block, ...]:
    """The blocks of a role: its dependencies', then its own. Its handlers and variables go to `context.collected`."""
    loader = context.loader
    path = find(wanted.name, context, wanted.origin)
    loader.add_library(os.path.join(path, "library"))
    meta = _meta(path, loader)
    role = Role(
        name=wanted.name,
        path=path,
        defaults=_variables(path, "defaults", wanted, loader),
        vars=_variables(path, "vars", wanted, loader),
        params=wanted.params,
        parents=(context.role, *context.role.parents) if context.role else (),
        allow_duplicates=meta.allow_duplicates if wanted.allow_duplicates is None else wanted.allow_duplicates,
        origin=wanted.origin,
        dependency=wanted.listed and context.role is not None,
        key=_key([path, wanted.params, wanted.parts, dict(wanted.own)]),
    )
    inside = context._replace(role=role, handlers=False)
    blocks: list[Block] = []
    dependencies: list[Role] = []
    if meta.dependencies:
        if meta.file in context.imports:
            raise ParseError(
                "A recursion loop was detected with the roles specified. Make sure child roles do not have "
                "dependencies on parent roles",
                origin=wanted.origin,
            )
        below = inside.in_file(meta.file, wanted.origin)
        for entry in meta.dependencies:
            blocks.extend(read_entry(entry, below, Origin(meta.file)))
            if blocks and blocks[-1].role is not None:
                dependencies.append(blocks[-1].role)
    role = role._replace(dependencies=tuple(dependencies))
    inside = inside._replace(role=role)
    handlers = _part(path, "handlers", wanted, loader)
    if handlers:
        read = tasks.read_file(handlers, inside._replace(handlers=True, imports=()), wanted.origin)
        context.collected.add_handlers(handlers, tuple(tasks.flat(read.tasks)))
    main = _part(path, "tasks", wanted, loader)
    block = tasks.read_file(main, inside, wanted.origin) if main else Block(settings=context.settings)
    if wanted.public:
        context.collected.roles.append(role)
    blocks.append(block._replace(role=role, origin=wanted.origin))
    return tuple(blocks)


def find(name: str, context: Context, origin: Origin) -> str:
    """The folder of a role: by path, or by name beside the playbook, in roles_path and beside the role at hand."""
    places = [os.path.join(context.directory, "roles"), *context.loader.roles_path]
    if context.role:
        places.append(os.path.dirname(context.role.path))
    places.append(context.directory)
    for place in places:
        path = os.path.normpath(os.path.join(place, os.path.expanduser(name)))  # noqa: PTH111  # stays text
        if os.path.isdir(path):  # noqa: PTH112  # hot: once a use
            return path
    known = {entry.name for place in places[:-1] if Path(place).is_dir() for entry in Path(place).iterdir()}
    raise ParseError(
        f"the role '{name}' was not found in {':'.join(dict.fromkeys(places))}",
        origin=origin,
        hint=nearest(name, known),
    )


class _Meta(NamedTuple):
    file: str = ""
    dependencies: Sequence[Any] = ()
    allow_duplicates: bool = False


def _meta(path: str, loader: Loader) -> _Meta:
    key = (path, "meta", "main")
    if key not in loader.role_files:
        loader.role_files[key] = _read_meta(path, loader)
    found: _Meta = loader.role_files[key]
    return found


def _read_meta(path: str, loader: Loader) -> _Meta:
    file = next(_files(path, "meta", "main"), None)
    document = loader.document(file) if file else None
    if file is None or document is None:
        return _Meta()
    if not isinstance(document, Mapping):
        raise ParseError(
            f"the metadata of a role must be a mapping, not {keywords.shape(document)}", origin=Origin(file)
        )
    place = Origin(file)
    dependencies = keywords.statements("dependencies", document.get("dependencies"), place)
    allow = keywords.boolean("allow_duplicates", document.get("allow_duplicates"), place)
    return _Meta(file, dependencies, bool(allow))


def _variables(path: str, part: str, wanted: Use, loader: Loader) -> Mapping[str, Any]:
    """The mapping in `vars/main.yml` or `defaults/main.yml`, or of all files where main is a folder."""
    name = wanted.parts.get(part, "main")
    key = (path, part, name)
    if key not in loader.role_files:
        merged: dict[str, Any] = {}
        files = list(_files(path, part, name))
        if not files and part in wanted.parts and name != "main":
            raise _missing(path, part, name, wanted)
        for file in files:
            values = loader.document(file)
            if values is not None and not isinstance(values, Mapping):
                raise ParseError(
                    f"the {part} of a role must be a mapping of variables, not {keywords.shape(values)}",
                    origin=origin_of(values) or Origin(file),
                )
            merged.update(values or {})
        loader.role_files[key] = merged
    found: Mapping[str, Any] = loader.role_files[key]
    return found


def _part(path: str, part: str, wanted: Use, loader: Loader) -> str | None:
    """The file of the role's tasks or handlers; None where there is none and none was asked for."""
    name = wanted.parts.get(part, "main")
    key = (path, part, name)
    if key not in loader.role_files:
        loader.role_files[key] = next(_files(path, part, name), None)
    found: str | None = loader.role_files[key]
    if found is None and name != "main":
        raise _missing(path, part, name, wanted)
    return found


def _files(path: str, part: str, name: str) -> Iterator[str]:
    base = os.path.join(path, part, name)
    named = [base + ending for ending in ENDINGS]
    for file in (*named, base) if name == "main" else (base, *named):
        if os.path.isfile(file):  # noqa: PTH113  # hot: several a use
            yield file
            return
    if Path(base).is_dir():
        found = sorted(entry for entry in Path(base).rglob("*") if entry.suffix in (*ENDINGS, "") and entry.is_file())
        yield from (str(entry) for entry in found if not entry.name.startswith("."))


def _missing(path: str, part: str, name: str, wanted: Use) -> ParseError:
    folder = Path(path, part)
    known = {entry.stem for entry in folder.iterdir()} if folder.is_dir() else set()
    return ParseError(
        f"Could not find specified file in role: {part}/{name}",
        origin=wanted.origin,
        hint=nearest(name, known) or f"looked in {folder}",
    )


def _flag(args: Mapping[str, Any], name: str, default: bool, context: Context, origin: Origin) -> bool:
    value = args.get(name)
    if value is None:
        return default
    if is_template(value):
        value = context.name(value, name, origin)
    try:
        return to_bool(value)
    except ValueError as error:
        raise ParseError(f"{name}: {error}", origin=origin_of(args, name) or origin) from None


def _key(values: Any) -> str:
    return json.dumps(values, sort_keys=True, default=str)
