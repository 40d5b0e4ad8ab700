"""What a module takes and does: its SPEC, a literal that is read from the source without importing it."""

from __future__ import annotations

import ast
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError, nearest
from shepherd.options import OptionError, Options, Place
from shepherd.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["OptionError", "Spec", "all_specs", "canonical", "find", "load_spec", "names"]

# options that many modules share; a SPEC names the group under `include`
GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "file_attributes": {
        "owner": {"type": "str", "help": "The user, by name or number, who shall own the file."},
        "group": {"type": "str", "help": "The group, by name or number."},
        "mode": {
            "type": "raw",
            "help": "Permissions: octal in quotes (`'0644'`), symbolic (`u=rw,g=r`), or `preserve` for a copy.",
        },
        "attributes": {
            "type": "str",
            "aliases": ["attr"],
            "help": "Flags as `chattr` takes them, such as `+i`; without an operator they replace the old ones.",
        },
        "seuser": {"type": "str", "help": "The user part of the SELinux context; `_default` takes the policy's."},
        "serole": {"type": "str", "help": "The role part of the SELinux context; `_default` takes the policy's."},
        "setype": {"type": "str", "help": "The type part of the SELinux context; `_default` takes the policy's."},
        "selevel": {"type": "str", "help": "The level part of the SELinux context; `_default` takes the policy's."},
        "unsafe_writes": {
            "type": "bool",
            "default": False,
            "help": "Write in place where a file cannot be replaced atomically, such as one that is a mount point.",
        },
    },
    "validate": {
        "validate": {
            "type": "str",
            "help": "A command that must succeed before the file is replaced; `%s` stands for the new file's path.",
        },
    },
    "backup": {
        "backup": {"type": "bool", "default": False, "help": "Keep a copy of the old file, with the time in its name."},
    },
}

PREFIXES = ("ansible.builtin.", "ansible.legacy.")
SAME = {"systemd": "systemd_service"}  # two names of one module

_SPEC_START = re.compile(r"^SPEC\b[^=\n]*=\s*(?=\{)", re.MULTILINE)
_SPEC_END = re.compile(r"^\}", re.MULTILINE)


class Spec:
    """The SPEC of one module. `document` is the literal as written."""

    def __init__(self, name: str, path: str, document: Mapping[str, Any]) -> None:
        self.name = name
        self.path = path
        self.document = document
        declared = dict(document.get("options", {}))
        for group in document.get("include", ()):
            declared.update({option: fields for option, fields in GROUPS[group].items() if option not in declared})
        self.options = Options.read(declared, document.get("constraints", {}))
        self.free_form: str | None = document.get("free_form")
        self.accepts_any = bool(document.get("accepts_any"))
        self.renders = bool(document.get("renders", True))  # False: its arguments are rendered by the action itself

    def check_names(self, args: Mapping[str, Any], origin: Origin | None = None, *, as_written: str = "") -> None:
        """Check what can be known before anything is rendered: names, what is missing, literal values.

        `args` are the options as written, with the module defaults that hold for the task below them. Raises
        OptionError, which calls the module `as_written`.
        """
        place = Place(as_written or self.name, args, origin)
        self.options.values(args, place, rendered=False, accepts_any=self.accepts_any)

    def normalise(self, args: Mapping[str, Any], origin: Origin | None = None) -> dict[str, Any]:
        """Rendered `args` as the module gets them: all options by main name, typed, defaults filled in."""
        return self.options.values(args, Place(self.name, args, origin), accepts_any=self.accepts_any)

    def secrets(self, args: Mapping[str, Any]) -> set[str]:
        """The texts in normalised `args` that must not be shown anywhere (options with `no_log`)."""
        return set(self.options.secrets(args))


def canonical(action: str) -> str:
    """The one name of a module: `ansible.builtin.copy` is `copy`. Other collections keep their full names."""
    for prefix in PREFIXES:
        if action.startswith(prefix):
            action = action[len(prefix) :]
            break
    return SAME.get(action, action)


def find(name: str, library_dirs: Iterable[str] = ()) -> str | None:
    """The file of a module, by its canonical name: the user's own first. None where there is none."""
    return _find(name, tuple(library_dirs))


def load_spec(name: str, library_dirs: Sequence[str] = ()) -> Spec:
    """The spec of the module `name`, short or fully qualified. Raises ParseError for no such module or a bad SPEC."""
    return _load(canonical(name), tuple(library_dirs))


def names(library_dirs: Iterable[str] = ()) -> list[str]:
    """The names of all modules, sorted."""
    found: set[str] = set()
    for directory in (*library_dirs, *_own_dirs()):
        found.update(file.stem for file in Path(directory).glob("[!_]*.py"))
    return sorted(found)


def all_specs(library_dirs: Sequence[str] = ()) -> Iterator[Spec]:
    """Every module's spec, by name; files that have none are passed over."""
    for name in names(library_dirs):
        path = find(name, library_dirs)
        if path is not None and _read(path) is not None:
            yield load_spec(name, library_dirs)


@cache
def _find(name: str, library_dirs: tuple[str, ...]) -> str | None:
    if not name.isidentifier():  # a collection's name, a path, a template
        return None
    for directory in (*library_dirs, *_own_dirs()):
        path = os.path.join(directory, f"{name}.py")
        if os.access(path, os.R_OK):
            return path
    return None


@cache
def _own_dirs() -> tuple[str, ...]:
    import shepherd.actions
    import shepherd.modules  # type: ignore[import-not-found]  # lies in modules/, where mypy does not look

    return (*shepherd.modules.__path__, *shepherd.actions.__path__)


@cache
def _load(name: str, library_dirs: tuple[str, ...]) -> Spec:
    path = find(name, library_dirs)
    if path is None:
        from shepherd.elsewhere import collection_of

        home = collection_of(name)
        raise ParseError(
            f"couldn't resolve module/action '{name}'. This often indicates a misspelling, missing collection, or "
            "incorrect module path.",
            hint=f"it is a module of {home} that Shepherd does not have yet"
            if home
            else nearest(name, names(library_dirs)),
        )
    document = _read(path)
    if document is None:
        raise ParseError(
            f"the module '{name}' has no SPEC",
            origin=Origin(path),
            hint="modules written for Ansible cannot be run yet; a module of Shepherd's declares SPEC = {…}",
        )
    try:
        return Spec(name, path, document)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ParseError(f"the SPEC of module '{name}' is wrong: {error}", origin=Origin(path)) from None


@cache
def _read(path: str) -> dict[str, Any] | None:
    """The literal behind `SPEC =` in a file. Only these lines are parsed: modules are long, and start-up is short."""
    try:
        with open(path, encoding="utf-8") as file:
            source = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ParseError(f"cannot read the module {path}: {error}") from None
    start = _SPEC_START.search(source)
    if start is None:
        return None
    end = _SPEC_END.search(source, start.end())
    found = _literal(source[start.end() : end.end()]) if end else None
    return found if found is not None else _parsed(source, path)


def _literal(text: str) -> dict[str, Any] | None:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return found if isinstance(found, dict) else None


def _parsed(source: str, path: str) -> dict[str, Any]:
    try:
        for statement in ast.parse(source).body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id="SPEC")], value=value)
                    | ast.AnnAssign(target=ast.Name(id="SPEC"), value=ast.expr() as value)
                ):
                    return dict(ast.literal_eval(value))
    except SyntaxError as error:
        raise ParseError(
            f"not Python: {error.msg}", origin=Origin(path, error.lineno or 0, error.offset or 0)
        ) from None
    except (ValueError, TypeError) as error:
        raise ParseError(f"SPEC must be a literal: {error}", origin=Origin(path)) from None
    raise ParseError("SPEC must be a literal at the top level of the module", origin=Origin(path))
