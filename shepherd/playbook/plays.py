"""Playbooks: their plays, and the playbooks that they import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shepherd.arguments import FREE_FORM, parse_kv
from shepherd.errors import ParseError, nearest
from shepherd.origin import Origin, origin_of
from shepherd.playbook import keywords, roles, tasks
from shepherd.playbook.context import Collected, Context, PlayVariables
from shepherd.playbook.model import Block, Play, Settings
from shepherd.playbook.settings import merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.playbook.context import Loader

PROMPT_KEYS = frozenset(("confirm", "default", "encrypt", "name", "private", "prompt", "salt", "salt_size", "unsafe"))
_IMPORT_NAMES = ("import_playbook", "ansible.builtin.import_playbook", "ansible.legacy.import_playbook")


def read_playbook(path: str, loader: Loader) -> tuple[Play, ...]:
    return tuple(_plays(os.path.abspath(path), loader, Settings(), {}, (), None))  # noqa: PTH100  # stays text


def _plays(
    path: str,
    loader: Loader,
    outer: Settings,
    values: Mapping[str, Any],
    imports: tuple[str, ...],
    origin: Origin | None,
) -> Iterator[Play]:
    """The plays of a file. `outer` and `values` come from the import_playbook that names it, and `imports` with it."""
    directory = os.path.dirname(path)
    context = Context(loader, path, directory, Collected(), outer, imports=imports).in_file(path, origin)
    loader.add_library(os.path.join(directory, "library"))
    document = loader.document(path)
    if not isinstance(document, list):
        raise ParseError(
            f"A playbook must be a list of plays, got {keywords.shape(document)} instead"
            if document is not None
            else "Empty playbook, nothing to do",
            origin=origin_of(document) or Origin(path),
            hint="begin each play with '- '" if isinstance(document, Mapping) else None,
        )
    for entry in document:
        if not isinstance(entry, Mapping):
            raise ParseError(
                "playbook entries must be either valid plays or 'import_playbook' statements",
                origin=origin_of(entry) or origin_of(document) or Origin(path),
            )
        importing = next((name for name in _IMPORT_NAMES if name in entry), None)
        if importing is None:
            yield _play(entry, context, values)
        else:
            yield from _import(entry, importing, context, values)


def _import(entry: Mapping[Any, Any], key: str, context: Context, values: Mapping[str, Any]) -> Iterator[Play]:
    origin = origin_of(entry) or Origin(context.file)
    place = origin_of(entry, key) or origin
    rest = {name: value for name, value in entry.items() if name != key}
    own = keywords.read(rest, keywords.IMPORT_KIND, origin)
    written = entry[key]
    if not written:
        raise ParseError("playbook import parameter is missing", origin=place)
    if not isinstance(written, str):
        raise ParseError(f"playbook import parameter must be a string, not {keywords.shape(written)}", origin=place)
    words = parse_kv(written)
    name = context.name(words.get(FREE_FORM) or words.get("file") or written, "import path", place, own.get("vars"))
    path = os.path.normpath(os.path.join(context.directory, os.path.expanduser(name)))  # noqa: PTH111
    if not os.path.isfile(path):  # noqa: PTH113
        raise ParseError(f"Could not find or access '{path}'", origin=place)
    settings = merge(context.settings, own, origin, context.loader.library)
    yield from _plays(path, context.loader, settings, {**own.get("vars", {}), **values}, context.imports, place)


def _play(entry: Mapping[Any, Any], context: Context, values: Mapping[str, Any]) -> Play:
    """A play; `values` are variables of the imports that brought it, which its own do not override."""
    origin = origin_of(entry) or Origin(context.file)
    _check_action(entry, origin)
    own = keywords.read(entry, keywords.PLAY_KIND, origin)
    if "user" in own:
        if own.get("remote_user") is not None:
            raise ParseError("both 'user' and 'remote_user' are set for this play", origin=origin_of(entry, "user"))
        own["remote_user"] = own["user"]
    _check_hosts(entry, origin)
    loader = context.loader
    own_vars = {**own.get("vars", {}), **values}
    files = _vars_files(entry, own.get("vars_files", ()), origin)
    settings = merge(context.settings, own, origin, loader.library)
    inside = context._replace(
        settings=settings,
        play=PlayVariables(loader, own_vars, files, context.directory),
        collected=Collected(),
    )

    def section(name: str) -> Block:
        return Block(tasks.read_list(entry.get(name), inside, name), settings=settings, origin=origin_of(entry, name))

    used: list[Block] = []
    place = origin_of(entry, "roles") or origin
    pre_tasks = section("pre_tasks")
    for written in own.get("roles", ()):
        if written is not None:
            used.extend(roles.read_entry(written, inside, place))
    main, post_tasks = section("tasks"), section("post_tasks")
    handlers = tasks.read_list(entry.get("handlers"), inside._replace(handlers=True), "handlers")
    return Play(
        name=own.get("name") or "",
        hosts=entry["hosts"],
        origin=origin,
        path=context.file,
        settings=settings,
        vars=own_vars,
        vars_files=files,
        vars_prompt=_prompts(own.get("vars_prompt"), origin),
        gather_facts=own.get("gather_facts"),
        gather_subset=list(own["gather_subset"]) if own.get("gather_subset") else None,
        gather_timeout=own.get("gather_timeout"),
        fact_path=own.get("fact_path"),
        serial=own.get("serial", ()),
        strategy=own.get("strategy"),
        order=own.get("order"),
        max_fail_percentage=own.get("max_fail_percentage"),
        force_handlers=own.get("force_handlers"),
        pre_tasks=pre_tasks,
        roles=tuple(used),
        all_roles=tuple(inside.collected.roles),
        tasks=main,
        post_tasks=post_tasks,
        handlers=(*inside.collected.all_handlers(), *tasks.flat(handlers)),
    )


def _check_action(entry: Mapping[Any, Any], origin: Origin) -> None:
    """A task at the top level is the commonest slip: say so, rather than that its module is no keyword."""
    if "hosts" in entry:
        return
    strange = [key for key in entry if key not in keywords.PLAY]
    if strange and any(key in keywords.TASK and key not in keywords.PLAY for key in entry):
        raise ParseError(
            "the field 'hosts' is required but was not set",
            origin=origin,
            hint="this looks like a task; tasks stand below 'tasks:' of a play",
        )


def _check_hosts(entry: Mapping[Any, Any], origin: Origin) -> None:
    if "hosts" not in entry:
        raise ParseError("the field 'hosts' is required but was not set", origin=origin)
    hosts = entry["hosts"]
    place = origin_of(entry, "hosts") or origin
    if not hosts:
        raise ParseError("Hosts list cannot be empty. Please check your playbook", origin=place)
    if not isinstance(hosts, (str, list)):
        raise ParseError("Hosts list must be a sequence or string. Please check your playbook.", origin=place)
    for host in hosts if isinstance(hosts, list) else ():
        if not isinstance(host, str) or not host:
            raise ParseError(f"Hosts list contains an invalid host value: '{host}'", origin=origin_of(host) or place)


def _vars_files(entry: Mapping[Any, Any], written: tuple[Any, ...], origin: Origin) -> tuple[Any, ...]:
    for file in written:
        choices = file if isinstance(file, list) else [file]
        for choice in choices:
            if not isinstance(choice, str):
                raise ParseError(
                    f"Invalid vars_files entry found: {file!r}; an entry is a file's name, or a list of them of which "
                    "the first that exists is read",
                    origin=origin_of(file) or origin_of(entry, "vars_files") or origin,
                )
    return written


def _prompts(written: Any, origin: Origin) -> tuple[Mapping[str, Any], ...]:
    if written is None:
        return ()
    prompts = written if isinstance(written, list) else [written]
    for prompt in prompts:
        place = origin_of(prompt) or origin_of(written) or origin
        if not isinstance(prompt, Mapping):
            raise ParseError("Invalid vars_prompt data structure, expected a list of mappings", origin=place)
        if "name" not in prompt:
            raise ParseError("Invalid vars_prompt data structure, missing 'name' key", origin=place)
        for key in prompt:
            if key not in PROMPT_KEYS:
                raise ParseError(
                    f"Invalid vars_prompt data structure, found unsupported key '{key}'",
                    origin=origin_of(prompt, key) or place,
                    hint=nearest(str(key), PROMPT_KEYS),
                )
    return tuple(prompts)
