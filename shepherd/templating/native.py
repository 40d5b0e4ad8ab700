"""What a rendered template is worth: text, or the list, mapping or boolean that the text spells.

Ansible renders to text and reads a text that begins with `[` or `{`, or is `True` or `False`, as a Python literal.
The same values come out here; a lone list or mapping made of plain data is handed on without the way through text.
"""

from __future__ import annotations

import ast
import types
import warnings
from collections.abc import ItemsView as Items
from collections.abc import Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from shepherd.origin import Mapping as OriginMapping
from shepherd.origin import Sequence as OriginSequence
from shepherd.origin import Text
from shepherd.templating.scope import Scope


class Verbatim(str):
    """Text that stays text whatever it looks like: what `string`, `to_json` and their like return."""

    __slots__ = ()


_SCALARS = frozenset({str, Text, int, float, bool, type(None), Verbatim})
_LISTS = frozenset({list, OriginSequence})
_DICTS = frozenset({dict, OriginMapping})
_STREAMS = (types.GeneratorType, map, filter, zip, range, reversed, KeysView, ValuesView, Items, Iterator)
_NAMES = {"true": True, "false": False, "null": None}


def concat(nodes: Iterable[Any]) -> Any:
    """The value of a template from the values of its parts. Undefined parts raise."""
    parts = nodes if isinstance(nodes, list) else list(nodes)
    if not parts:
        return ""
    if len(parts) == 1:
        return convert(parts[0])
    return literal("".join([text_of(part) for part in parts]))


def concat_text(nodes: Iterable[Any]) -> str:
    """As `concat`, but always text: what files are rendered to."""
    return "".join([part if type(part) is str else text_of(part) for part in nodes])


def convert(value: Any) -> Any:
    """The value of a template that is one expression and nothing else."""
    kind = type(value)
    if kind is str or kind is Text:
        return literal(value)
    if kind is Verbatim:
        return str(value)
    if kind is bool:
        return value
    if value is None:
        return ""
    if kind is int or kind is float:
        return str(value)
    if kind in _LISTS or kind in _DICTS:
        return value if _plain(value) else literal(str(value))
    if isinstance(value, _STREAMS):
        return convert(list(value))
    return literal(text_of(value))


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, _STREAMS):
        return str(list(value))
    if isinstance(value, Mapping) and not isinstance(value, dict):
        return str(value.known() if isinstance(value, Scope) else dict(value))
    return str(value)


def _plain(value: Any) -> bool:
    """Whether writing the value as text and reading it back gives the same."""
    kind = type(value)
    if kind in _SCALARS:
        return kind is not float or value - value == 0  # inf and nan do not read back
    if kind in _DICTS:
        return all(map(_plain, value)) and all(map(_plain, value.values()))
    if kind in _LISTS or kind is tuple:
        return all(map(_plain, value))
    return False


def literal(text: str) -> Any:
    """What `text` spells: a list, mapping, set, True or False; otherwise the text itself."""
    first = text[:1]
    if first == "[" or first == "{":
        try:
            tree = _parsed(text)
            if any(isinstance(node, ast.Name) for node in ast.walk(tree)):
                tree = _Names().visit(tree)
            return ast.literal_eval(tree)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return text
    if text == "True":
        return True
    if text == "False":
        return False
    return text


def _parsed(text: str) -> ast.AST:
    if "\\" not in text:
        return ast.parse(text, mode="eval")
    with warnings.catch_warnings():  # Python warns of "\\d": that is for the author of a program, not of a value
        warnings.simplefilter("ignore")
        return ast.parse(text, mode="eval")


class _Names(ast.NodeTransformer):
    """JSON's names for Python's constants."""

    def visit_Name(self, node: ast.Name) -> ast.AST:  # ast names its visitors so
        if node.id in _NAMES:
            return ast.copy_location(ast.Constant(_NAMES[node.id]), node)
        return node
