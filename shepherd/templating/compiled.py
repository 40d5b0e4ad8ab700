"""Compiled templates of earlier runs: loading one takes a hundredth of the time that compiling it takes.

One file in the user's own cache directory holds them all, readable by its owner alone. As with Python's .pyc files,
what it holds is executed: a file that others could have written is not read. Only templates that stand in files are
kept, so nothing gets to disk that is not there already. The file is no loss: any trouble with it is ignored.
"""

# ruff: noqa: PTH103, PTH105, PTH111 -- names of files are text here
from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import shepherd

if TYPE_CHECKING:
    from types import CodeType

_FORMAT = 1  # to be raised when the environment makes other code of the same template
_MOST = 4000  # about 2 kB each


def default_path() -> str:
    """templates.cache in $XDG_CACHE_HOME/shepherd or ~/.cache/shepherd."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "shepherd", "templates.cache")


class CompiledTemplates:
    """Read when first asked, written by `save` where something was added."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept: dict[bytes, bytes] | None = None
        self._used: dict[bytes, bytes] = {}
        self._added = False

    def get(self, key: bytes) -> CodeType | None:
        if self._kept is None:
            self._kept = self._read()
        found = self._kept.get(key)
        if found is None:
            return None
        self._used[key] = found
        code: CodeType = marshal.loads(found)  # noqa: S302  # from a file that is ours alone, see _read
        return code

    def put(self, key: bytes, code: CodeType) -> None:
        self._used[key] = marshal.dumps(code)
        self._added = True

    def save(self) -> None:
        if not self._added:
            return
        rows = {**self._used, **{key: code for key, code in (self._kept or {}).items() if key not in self._used}}
        rows = dict(list(rows.items())[:_MOST])
        beside = f"{self._path}.{os.getpid()}"
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                marshal.dump((_tag(), rows), file)
            os.replace(beside, self._path)
        self._added = False

    def _read(self) -> dict[bytes, bytes]:
        try:
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    return {}
                tag, rows = marshal.load(file)  # noqa: S302  # as above
        except (OSError, ValueError, EOFError, TypeError):
            return {}
        return rows if tag == _tag() and isinstance(rows, dict) else {}


def key_of(*parts: Any) -> bytes:
    """What tells a template from all others: its text, its kind, its delimiters."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=20).digest()


def _tag() -> tuple[Any, ...]:
    import jinja2

    return _FORMAT, shepherd.__version__, jinja2.__version__, sys.implementation.cache_tag, sys.hexversion
