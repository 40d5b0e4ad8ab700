"""The keywords of plays, blocks, tasks, roles and imports: where each may stand, and what its value is.

https://docs.ansible.com/ansible/latest/reference_appendices/playbooks_keywords.html
"""

# ruff: noqa: ARG001  # readers share one signature

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.conversions import to_bool, to_float, to_int, type_name
from shepherd.errors import ParseError, nearest
from shepherd.origin import Origin, origin_of
from shepherd.templating import is_template

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMMA = re.compile(r",(?![^{]*\}\})")  # not one inside a template

_BATCH = re.compile(r"\d+|\d+(\.\d+)?%")

Read = Callable[[str, Any, Origin], Any]


def keep(name: str, value: Any, origin: Origin) -> Any:
    return value


def text(name: str, value: Any, origin: Origin) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, dict)):
        raise ParseError(f"the field '{name}' is supposed to be a string, not {shape(value)}", origin=origin)
    return str(value)


def _literal(kind: str, convert: Callable[[Any], Any]) -> Read:
    def read(name: str, value: Any, origin: Origin) -> Any:
        if value is None or is_template(value):
            return value
        try:
            return convert(value)
        except ValueError as error:
            raise ParseError(
                f"the field '{name}' has an invalid value ({value!r}), and could not be converted to {kind}: {error}",
                origin=origin,
            ) from None

    return read


boolean = _literal("bool", to_bool)
integer = _literal("int", to_int)
number = _literal("float", to_float)


def percentage(name: str, value: Any, origin: Origin) -> Any:
    if isinstance(value, str) and not is_template(value) and value.strip().endswith("%"):
        value = value.strip()[:-1]
    found = number(name, value, origin)
    if isinstance(found, float) and not math.isfinite(found):
        raise ParseError(f"the field '{name}' has an invalid value ({value!r})", origin=origin)
    return found


def condition(name: str, value: Any, origin: Origin) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


def many(name: str, value: Any, origin: Origin) -> tuple[Any, ...]:
    """A list, or one value for a list of one."""
    if value is None:
        return ()
    if isinstance(value, dict):
        raise ParseError(f"the field '{name}' is supposed to be a list, not a mapping", origin=origin)
    return tuple(value) if isinstance(value, list) else (value,)


def words(name: str, value: Any, origin: Origin) -> tuple[str, ...]:
    """A list of strings, or one."""
    found = many(name, value, origin)
    for entry in found:
        if not isinstance(entry, str):
            raise ParseError(
                f"the field '{name}' should be a list of strings, but an item of it is {shape(entry)}",
                origin=origin_of(entry) or origin,
            )
    return found


def choice(*known: str) -> Read:
    def read(name: str, value: Any, origin: Origin) -> Any:
        found = text(name, value, origin)
        if found is None or is_template(found) or found in known:
            return found
        raise ParseError(
            f"the field '{name}' has an invalid value ({found!r}), it must be one of: {', '.join(known)}",
            origin=origin,
            hint=nearest(found, known),
        )

    return read


def batches(name: str, value: Any, origin: Origin) -> tuple[Any, ...]:
    """Numbers of hosts, or percentages of them."""
    found = many(name, value, origin)
    for entry in found:
        if not is_template(entry) and not _BATCH.fullmatch(str(entry).strip()):
            raise ParseError(
                f"the field '{name}' has an invalid value ({entry!r}): neither a number of hosts nor a percentage",
                origin=origin_of(entry) or origin,
            )
    return found


def mapping(name: str, value: Any, origin: Origin) -> Any:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ParseError(f"the field '{name}' is supposed to be a mapping, not {shape(value)}", origin=origin)
    return value


def variables(name: str, value: Any, origin: Origin) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ParseError(f"Vars must be specified as a dictionary, not {shape(value)}", origin=origin)
    for key in value:
        if not isinstance(key, str) or not is_variable_name(key):
            raise ParseError(
                f"Invalid variable name in vars specified: '{key}' is not a valid variable name",
                origin=origin_of(value, key) or origin,
                hint="letters, digits and underscores, no digit first, and no keyword of Python's",
            )
    return value


def tags(name: str, value: Any, origin: Origin) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(tag for part in _COMMA.split(value) if (tag := part.strip()))
    if not isinstance(value, list):
        raise ParseError("tags must be specified as a list", origin=origin)
    found: list[str] = []
    for tag in value:
        if isinstance(tag, (list, dict)):
            raise ParseError("tags must be specified as a list of words", origin=origin_of(tag) or origin)
        found.append(tag if isinstance(tag, str) else str(tag))
    return tuple(found)


def environment(name: str, value: Any, origin: Origin) -> tuple[Any, ...]:
    found = tuple(value) if isinstance(value, list) else () if value is None else (value,)
    for entry in found:
        if not isinstance(entry, Mapping) and not is_template(entry):
            raise ParseError(f"environment must be a mapping or a list of them, not {shape(entry)}", origin=origin)
    return found


def statements(name: str, value: Any, origin: Origin) -> list[Any]:
    """A list of tasks, blocks or roles."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ParseError(
            f"'{name}' must be a list, not {shape(value)}",
            origin=origin,
            hint="begin each entry with '- '",
        )
    return value


# inherited: the fields of Settings that one value stands in
SETTINGS: dict[str, Read] = {
    "any_errors_fatal": boolean,
    "become": boolean,
    "become_exe": text,
    "become_flags": text,
    "become_method": text,
    "become_user": text,
    "check_mode": boolean,
    "connection": text,
    "debugger": choice("always", "never", "on_failed", "on_skipped", "on_unreachable"),
    "diff": boolean,
    "ignore_errors": boolean,
    "ignore_unreachable": boolean,
    "no_log": boolean,
    "port": integer,
    "remote_user": text,
    "run_once": boolean,
    "throttle": integer,
    "timeout": integer,
}
# inherited, and gathered or treated on their own
GATHERED: dict[str, Read] = {
    "collections": words,
    "environment": environment,
    "module_defaults": keep,
    "tags": tags,
}
_EVERYWHERE: dict[str, Read] = {**SETTINGS, **GATHERED, "name": text, "vars": variables}
_DELEGATION: dict[str, Read] = {"delegate_to": text, "delegate_facts": boolean, "when": condition}

PLAY: dict[str, Read] = {
    **_EVERYWHERE,
    "fact_path": text,
    "force_handlers": boolean,
    "gather_facts": boolean,
    "gather_subset": words,
    "gather_timeout": integer,
    "handlers": statements,
    "hosts": keep,
    "max_fail_percentage": percentage,
    "order": choice("inventory", "reverse_inventory", "reverse_sorted", "shuffle", "sorted"),
    "post_tasks": statements,
    "pre_tasks": statements,
    "roles": statements,
    "serial": batches,
    "strategy": choice("linear", "free", "host_pinned", "debug"),
    "tasks": statements,
    "user": text,
    "vars_files": many,
    "vars_prompt": keep,
}
BLOCK: dict[str, Read] = {
    **_EVERYWHERE,
    **_DELEGATION,
    "always": statements,
    "block": statements,
    "notify": words,
    "rescue": statements,
}
TASK: dict[str, Read] = {
    **_EVERYWHERE,
    **_DELEGATION,
    "action": keep,
    "args": keep,
    "async": integer,
    "changed_when": condition,
    "delay": number,
    "failed_when": condition,
    "local_action": keep,
    "loop": keep,
    "loop_control": mapping,
    "notify": words,
    "poll": integer,
    "register": text,
    "retries": integer,
    "until": condition,
}
HANDLER: dict[str, Read] = {**TASK, "listen": words}
ROLE: dict[str, Read] = {**_EVERYWHERE, **_DELEGATION, "role": text}
IMPORT_PLAYBOOK: dict[str, Read] = {**_EVERYWHERE, "import_playbook": keep, "when": condition}
LOOP_CONTROL: dict[str, Read] = {
    "break_when": condition,
    "extended": boolean,
    "extended_allitems": boolean,
    "index_var": text,
    "label": keep,
    "loop_var": text,
    "pause": number,
}
# what an include may carry itself; everything else belongs under `apply`
INCLUDE = frozenset(
    ("action", "args", "collections", "debugger", "ignore_errors", "local_action", "loop", "loop_control", "name")
) | frozenset(("no_log", "register", "run_once", "tags", "timeout", "vars", "when", "listen"))


class Kind(NamedTuple):
    """A table with what its mappings are called in messages."""

    name: str
    table: Mapping[str, Read]


PLAY_KIND = Kind("Play", PLAY)
BLOCK_KIND = Kind("Block", BLOCK)
TASK_KIND = Kind("Task", TASK)
HANDLER_KIND = Kind("Handler", HANDLER)
ROLE_KIND = Kind("Role", ROLE)
IMPORT_KIND = Kind("PlaybookInclude", IMPORT_PLAYBOOK)
LOOP_CONTROL_KIND = Kind("LoopControl", LOOP_CONTROL)


def read(written: Mapping[Any, Any], kind: Kind, origin: Origin, *, also: Iterable[str] = ()) -> dict[str, Any]:
    """The keywords of `written` with their values checked. Raises ParseError for one that `kind` does not have."""
    found = {}
    for key, value in written.items():
        reader = kind.table.get(key)
        if reader is None:
            if key in also:
                continue
            raise unknown(key, kind, written, origin)
        found[str(key)] = reader(key, value, origin_of(value) or origin_of(written, key) or origin)
    return found


def unknown(key: Any, kind: Kind, written: Mapping[Any, Any], origin: Origin) -> ParseError:
    return ParseError(
        f"'{key}' is not a valid attribute for a {kind.name}",
        origin=origin_of(written, key) or origin,
        hint=nearest(str(key), kind.table),
    )


def is_variable_name(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def shape(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if isinstance(value, str) else f"{type_name(value)[8:-2]} {value!r}"
