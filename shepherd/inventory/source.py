"""Sources: what `-i` names. A file in any of the formats, a directory of them, an executable, a list of hosts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.errors import ParseError, ShepherdError
from shepherd.inventory import document, ini, structure
from shepherd.inventory.host import NOTHING
from shepherd.inventory.inventory import Inventory
from shepherd.inventory.names import expand
from shepherd.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable

# In a directory of sources these are something else: notes, backups, compiled code, settings of executable sources.
IGNORED = ("~", ".orig", ".ini", ".cfg", ".retry", ".pyc", ".pyo", ".swp", ".bak", ".rpm", ".md", ".txt", ".rst")
VARIABLES = ("group_vars", "host_vars", "vars_plugins")
_YAML_NAMES = (".yml", ".yaml", ".json")
_YAML_LINE = re.compile(r"---|%YAML|\{|- |[^\[=]*:(\s|$)")


def load(sources: Iterable[str], *, cwd: str) -> Inventory:
    """The inventory that `sources` describe, later ones over earlier ones; relative paths are meant from `cwd`.

    Raises ParseError for a source that cannot be understood. In a directory such a file is only warned of, as long
    as another one can be.
    """
    inventory = Inventory()
    for source in sources:
        if "," in source and not os.path.exists(os.path.join(cwd, source)):
            _host_list(source, inventory)
            directory = cwd
            inventory.sources.append(source)
        else:
            path = os.path.normpath(os.path.join(cwd, Path(source).expanduser()))
            read(path, inventory)
            directory = path if Path(path).is_dir() else os.path.dirname(path)
            inventory.sources.append(path)
        if directory not in inventory.directories:
            inventory.directories.append(directory)
    inventory.settle()
    inventory.review()
    return inventory


def read(path: str, inventory: Inventory) -> None:
    """Add the file or directory `path`."""
    if Path(path).is_dir():
        _directory(path, inventory)
    elif not os.path.exists(path):
        hint = f"for a host of that name put a comma behind it: -i {os.path.basename(path)},"
        raise ParseError(f"there is no inventory {path}", hint=hint)
    elif not (os.access(path, os.X_OK) and _executable(path, inventory)):
        _file(path, inventory)


def _executable(path: str, inventory: Inventory) -> bool:
    from shepherd.inventory import executable  # not before it is needed: subprocess takes a while to import

    return executable.parse(path, inventory)


def _host_list(source: str, inventory: Inventory) -> None:
    for written in filter(None, map(str.strip, source.split(","))):
        try:
            names, port = expand(written)
        except ValueError as error:
            raise ParseError(f"{error} in the list of hosts {source!r}") from None
        for name in names:
            inventory.place(name, inventory.ungrouped, NOTHING, source, port)


def _directory(path: str, inventory: Inventory) -> None:
    """All sources in the directory, in the order of their names."""
    skipped = []
    understood = False
    try:
        names = sorted(entry.name for entry in os.scandir(path))
    except OSError as error:
        raise ParseError(f"cannot read the directory {path}: {error.strerror}") from None
    for name in names:
        if name in VARIABLES or name.startswith(".") or name.endswith(IGNORED):
            continue
        try:
            read(os.path.join(path, name), inventory)
            understood = True
        except ParseError as error:
            skipped.append(error)
    if skipped and not understood:
        raise skipped[0]
    for problem in skipped:
        inventory.warn(f"skipping a source that cannot be understood: {problem.render()}")
    if not understood:
        inventory.warn(f"there is no inventory in the directory {path}")


def _file(path: str, inventory: Inventory) -> None:
    text = document.read_text(path)
    if text.startswith("$ANSIBLE_VAULT"):
        raise ParseError("inventories encrypted with Ansible Vault are not supported yet", origin=Origin(path))
    if path.endswith(".toml"):
        from shepherd.inventory import toml

        toml.parse(text, path, inventory)
        return
    if path.endswith(".ini") or not (path.endswith(_YAML_NAMES) or _looks_like_yaml(text)):
        ini.parse(text, path, inventory)
        return
    try:
        found = document.load(text, path, inventory.warn)
    except ParseError as problem:
        _as_ini(text, path, inventory, problem)
        return
    if isinstance(found, str):
        _as_ini(text, path, inventory, ParseError("this is neither INI nor YAML", origin=Origin(path, 1, 1)))
    else:
        structure.parse(found, path, inventory)


def _as_ini(text: str, path: str, inventory: Inventory, problem: ParseError) -> None:
    """What did not do as YAML, for the reason `problem`: hosts a line each in a file called .yml, perhaps."""
    if text.lstrip()[:1] == "{":
        raise problem
    try:
        ini.parse(text, path, Inventory())
    except ShepherdError as other:
        reason = f"as INI: {other.message}" + (f" ({other.origin})" if other.origin else "")
        problem.hint = f"{problem.hint}; {reason}" if problem.hint else reason
        raise problem from None
    ini.parse(text, path, inventory)


def _looks_like_yaml(text: str) -> bool:
    """Whether the first line that says anything is one of YAML (or JSON): cheap, where parsing to see is not."""
    for line in text.split("\n", 200)[:200]:
        line = line.strip()
        if line and line[0] not in "#;":
            return bool(_YAML_LINE.match(line))
    return False
