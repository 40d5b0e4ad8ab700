"""One question to a lookup: its options and the variables it may read."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.templating.search import find_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shepherd.templating.scope import Scope

_TRUE = frozenset({"yes", "on", "true", "1", "y", "t"})


@dataclass(frozen=True, slots=True)
class Asking:
    """`directory` is the subdirectory in which relative names are looked for first (files, vars, tasks, templates)."""

    name: str
    options: dict[str, Any]
    scope: Scope
    directory: str = "files"

    def get(self, name: str, default: Any = None) -> Any:
        """An option; `default` where it was not given or is null."""
        value = self.options.get(name)
        return default if value is None else value

    def text(self, name: str, default: str = "") -> str:
        return str(self.get(name, default))

    def flag(self, name: str, default: bool = False) -> bool:
        return truth(self.get(name, default))

    def number(self, name: str, default: int) -> int:
        value = self.get(name, default)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise TemplateError(f"the option {name!r} must be a whole number, not {value!r}") from None

    def names(self, name: str) -> list[str]:
        """An option that is a list, or a text with commas."""
        value = self.get(name, [])
        if isinstance(value, str):
            return [part.strip() for part in value.split(",")] if value else []
        return [str(each) for each in value]

    def known(self, names: Iterable[str]) -> None:
        """Refuse options that are not among `names`."""
        for name in self.options:
            if name not in names:
                raise TemplateError(f"unknown option {name!r}; known are {', '.join(sorted(names))}")

    def written_in(self, term: str, names: Iterable[str]) -> tuple[str, Asking]:
        """A term such as `key file=a.ini section=b` taken apart: what is no option, and the options with those set."""
        words = []
        written = {}
        try:
            pieces = shlex.split(term) if "'" in term or '"' in term else term.split()
        except ValueError:
            raise TemplateError(f"a quote is not closed in {term!r}") from None
        for word in pieces:
            name, equals, value = word.partition("=")
            if equals and name in names:
                written[name] = value
            else:
                words.append(word)
        return " ".join(words), Asking(self.name, {**self.options, **written}, self.scope, self.directory)

    @property
    def search_path(self) -> Sequence[str]:
        """The directories for relative names, nearest first."""
        found = list(self.scope.get("ansible_search_path") or ())
        last = self.scope.get("playbook_dir")
        return [*found, last] if last and last not in found else found

    @property
    def home(self) -> str:
        """The playbook's directory, in which programs run and new files are made."""
        return str(self.scope.get("playbook_dir") or ".")

    def find(self, kind: str, name: Any) -> str:
        """The path of a file. Raises FileMissing."""
        if not isinstance(name, str):
            raise TypeError(f"expected the name of a file, got {name!r}")
        return find_file(kind, name, self.search_path)


def truth(value: Any) -> bool:
    return value.lower() in _TRUE if isinstance(value, str) else bool(value)
