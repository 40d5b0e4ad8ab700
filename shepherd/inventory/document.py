"""Documents that sources and variable files hold: JSON and YAML."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError
from shepherd.origin import Origin, Text

if TYPE_CHECKING:
    from collections.abc import Callable


def load_file(path: str, warn: Callable[[str], None]) -> Any:
    """The document in the file `path`. Raises ParseError."""
    return load(read_text(path), path, warn)


def load(text: str, path: str, warn: Callable[[str], None]) -> Any:
    """The document in `text`, read from `path`; None where it is empty. `warn` is told what is odd but allowed.

    JSON is tried first where it looks so: it is a hundred times faster than YAML, and not quite a subset of it.
    """
    if text.lstrip()[:1] == "{":
        try:
            return load_json(text, path)
        except ValueError:
            pass  # then it is YAML, or is wrong, and the YAML parser says where
    from shepherd import documents  # not before it is needed: yaml takes a while to import

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", documents.DuplicateKey)
        found = documents.load_text(text, path)
    for warning in caught:
        warn(str(warning.message))
    return found


def load_json(text: str, path: str) -> Any:
    """Raises ValueError. Text that `shepherd inventory --list` marked as never a template is that again."""

    def unmark(made: dict[str, Any]) -> Any:
        marked = made.get("__ansible_unsafe") if len(made) == 1 else None
        return Text(marked, Origin(path), literal=True) if isinstance(marked, str) else made

    try:
        return json.loads(text, object_hook=unmark)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_text(path: str) -> str:
    """The text of the file `path`. Raises ParseError."""
    try:
        with open(path, encoding="utf-8-sig") as handle:
            return handle.read()
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text: {error.reason} at byte {error.start}"
        raise ParseError(message, origin=Origin(path), hint="save the file as UTF-8") from None
    except OSError as error:
        raise ParseError(f"cannot read {path}: {error.strerror}") from None
