"""`group_vars/` and `host_vars/` of one directory: found by one listing, each file read once, when first asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shepherd.errors import ParseError
from shepherd.inventory import document, structure
from shepherd.origin import Origin, origin_of

EXTENSIONS = ("", ".yml", ".yaml", ".json")

Layers = tuple[Mapping[str, Any], ...]


class VariableFiles:
    """The variables kept beside one inventory or playbook. A name's variables may be a file, with or without
    extension, or a directory of such files, which count in the order of their names."""

    def __init__(self, directory: str, warn: Callable[[str], None]) -> None:
        self._groups = _Kind(os.path.join(directory, "group_vars"), warn)
        self._hosts = _Kind(os.path.join(directory, "host_vars"), warn)

    def of_group(self, name: str) -> Layers:
        """The group's variables, highest precedence first. Raises ParseError."""
        return self._groups.of(name)

    def of_host(self, name: str) -> Layers:
        """The host's variables, highest precedence first. Raises ParseError."""
        return self._hosts.of(name)


class _Kind:
    def __init__(self, directory: str, warn: Callable[[str], None]) -> None:
        self.directory = directory
        self.warn = warn
        self.listing: frozenset[str] | None = None
        self.read: dict[str, Layers] = {}

    def of(self, name: str) -> Layers:
        if self.listing is None:
            try:
                self.listing = frozenset(entry.name for entry in os.scandir(self.directory))
            except OSError:
                self.listing = frozenset()
        if not self.listing:
            return ()
        found = self.read.get(name)
        if found is None:
            found = self.read[name] = tuple(_load(path, self.warn) for path in self._paths(name))[::-1]
        return found

    def _paths(self, name: str) -> Iterator[str]:
        for extension in EXTENSIONS:
            if self.listing and name + extension in self.listing:
                path = os.path.join(self.directory, name + extension)
                yield from _files_in(path) if Path(path).is_dir() else (path,)
                return


def _files_in(directory: str) -> Iterator[str]:
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name.endswith("~"):
            continue
        if entry.is_dir():
            yield from _files_in(entry.path)
        elif os.path.splitext(entry.name)[1] in EXTENSIONS:  # noqa: PTH122 # an entry has no Path
            yield entry.path


def _load(path: str, warn: Callable[[str], None]) -> Mapping[str, Any]:
    values = document.load_file(path, warn)
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ParseError(
            f"a file of variables must be a mapping, not {structure.kind(values)}",
            origin=origin_of(values) or Origin(path),
            hint="write one 'name: value' a line",
        )
    return values
