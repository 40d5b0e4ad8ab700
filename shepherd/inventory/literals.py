"""The types of values in INI inventories: what reads as a Python literal is one, everything else is text."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

# What can be told from its look, because asking Python's parser costs ten times as much as all the rest of a line.
_PLAIN = re.compile(r"[A-Za-z_/][\w./:@~-]*|[0-9]+\.[0-9]+\.[0-9.]+|(0|[1-9][0-9]{0,17})")
_WORDS = {"True": True, "False": False, "None": None}


def literal(text: str) -> Any:
    """The value that `text` writes: a number, boolean, None, string in quotes, list, tuple, set, dict; or the text."""
    plain = _PLAIN.fullmatch(text)
    if plain:
        return int(text) if plain[1] else _WORDS.get(text, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes: of a kind that depends on the Python
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return text if value is ... or isinstance(value, complex) else value
