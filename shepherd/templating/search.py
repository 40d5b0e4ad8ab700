"""Where a relative file name is looked for: roles first, the playbook's directory last."""

# ruff: noqa: PTH111, PTH117 -- names of files are text here, and this runs for each file of each task
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class MissingFileError(ShepherdError):
    """A file that a task or a lookup names and that is in none of the places it may be in."""


def candidates(kind: str, name: str, search_path: Sequence[str]) -> Iterator[str]:
    """The paths that `name` may mean, best first: in each directory the `kind` subdirectory, then the directory."""
    name = os.path.expanduser(name)
    if os.path.isabs(name):
        yield name
        return
    for directory in search_path:
        if kind and not name.startswith(kind + "/"):
            yield os.path.normpath(os.path.join(directory, kind, name))
        yield os.path.normpath(os.path.join(directory, name))


def find_file(kind: str, name: str, search_path: Sequence[str]) -> str:
    """The path of the file (or directory) `name`. `kind` is "files", "templates", "vars", "tasks" or "".

    Raises MissingFileError, which lists where it looked.
    """
    looked = []
    for path in candidates(kind, name, search_path):
        if os.path.exists(path):
            return path
        looked.append(path)
    hint = "looked for " + ", ".join(dict.fromkeys(looked)) if looked else None
    raise MissingFileError(f"could not find {name!r}", hint=hint)
