"""One question to a lookup: its options and the variables it may read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shepherd.templating.scope import Scope
from shepherd.templating.search import find_file


@dataclass(frozen=True, slots=True)
class Asking:
    name: str
    options: dict[str, Any]
    scope: Scope

    def text(self, name: str, default: str = "") -> str:
        value = self.options.get(name)
        return default if value is None else str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.options.get(name, default)
        if isinstance(value, str):
            return value.lower() in ("yes", "on", "true", "1", "y", "t")
        return bool(value)

    @property
    def search_path(self) -> Sequence[str]:
        """The directories for relative names, nearest first."""
        found = list(self.scope.get("ansible_search_path") or ())
        last = self.scope.get("playbook_dir")
        return [*found, last] if last and last not in found else found

    def find(self, kind: str, name: str) -> str:
        """The path of a file. Raises FileMissing."""
        return find_file(kind, name, self.search_path)
