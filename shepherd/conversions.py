"""The types that options and keywords have, and how what was written becomes a value of them.

Lenient where ansible-core is: `"5"` is an int, `"a,b"` a list, `"a=1 b=2"` a dict. Each function returns the value or
raises ValueError with the reason; None comes here only where a value is needed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

TRUE = frozenset(("y", "yes", "on", "1", "true", "t"))
FALSE = frozenset(("n", "no", "off", "0", "false", "f"))

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6, "Z": 7, "Y": 8}
_UNIT_WORDS = {"kilo": 1, "mega": 2, "giga": 3, "tera": 4, "peta": 5, "exa": 6, "zetta": 7, "yotta": 8, "": 0}
_SIZE = re.compile(r"\s*(\d*\.?\d+|\d+\.)\s*([A-Za-z]*)\s*", re.ASCII)
_KEY_VALUE = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s,\\])+""", re.DOTALL)
_KEY_VALUE_PART = re.compile(r"""\\(.)|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'""", re.DOTALL)


def to_str(value: Any) -> str:
    if value is None:
        raise ValueError("'None' is not a string and conversion is not allowed")
    return value if isinstance(value, str) else str(value)


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in TRUE:
            return True
        if word in FALSE:
            return False
    elif isinstance(value, (int, float)):
        if value in (0, 1):
            return value == 1
    else:
        raise ValueError(f"{type_name(value)} cannot be converted to a bool")
    words = ", ".join(repr(word) for word in sorted(TRUE | FALSE))
    raise ValueError(f"The value '{value}' is not a valid boolean.  Valid booleans include: {words}")


def to_int(value: Any) -> int:
    if isinstance(value, int):
        return value
    try:
        if isinstance(value, str):
            number = Decimal(value.strip())
        elif isinstance(value, (float, Decimal)):
            number = Decimal(value)
        else:
            raise ValueError
        whole = int(number)
        if whole != number:
            raise ValueError
    except (ValueError, InvalidOperation, OverflowError):
        raise ValueError(f'"{value!r}" cannot be converted to an int') from None
    return whole


def to_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{type_name(value)} cannot be converted to a float") from None


def to_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, (int, float)):
        return [str(value)]
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    raise ValueError(f"{type_name(value)} cannot be converted to a list")


def to_dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, str):
        raise ValueError(f"{type_name(value)} cannot be converted to a dict")
    if value.startswith("{"):
        return _literal(value)
    if "=" not in value:
        raise ValueError("dictionary requested, could not parse JSON or key=value")
    found = {}
    for word in _KEY_VALUE.findall(value):
        key, equals, text = _KEY_VALUE_PART.sub(lambda m: m[1] or _inner(m[2] or m[3] or ""), word).partition("=")
        if not equals:
            raise ValueError('unable to evaluate string in the "key=value" format as dictionary')
        found[key] = text
    return found


def to_raw(value: Any) -> Any:
    return value


def to_json(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value)
    raise ValueError(f"{type_name(value)} cannot be converted to a json string")


def to_bytes(value: Any) -> int:
    return _size(value, "B", "byte", "Byte")


def to_bits(value: Any) -> int:
    return _size(value, "b", "bit", "Bit")


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "str": to_str,
    "bool": to_bool,
    "int": to_int,
    "float": to_float,
    "list": to_list,
    "dict": to_dict,
    "path": to_str,  # ~ and $VARIABLES are the target's, and read there
    "raw": to_raw,
    "jsonarg": to_json,
    "json": to_json,
    "bytes": to_bytes,
    "bits": to_bits,
}


def type_name(value: Any) -> str:
    """The plain type of a value as Python prints it: Text is a str to whoever reads a message."""
    for plain in (str, list, dict):
        if isinstance(value, plain):
            return str(plain)
    return str(type(value))


def _literal(text: str) -> dict[Any, Any]:
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict):
            return found
    raise ValueError("unable to evaluate string as dictionary")


def _inner(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _size(value: Any, short: str, word: str, shown: str) -> int:
    """`10`, `10M`, `10MB` (bytes) or `10Mb` (bits), `1 megabyte`; K is 1024."""
    refused = ValueError(f"{type_name(value)} cannot be converted to a {shown} value")
    found = _SIZE.fullmatch(value) if isinstance(value, str) else _SIZE.fullmatch(str(value))
    if found is None or isinstance(value, bool):
        raise refused
    unit = found[2]
    if unit.lower().endswith(word):
        power = _UNIT_WORDS.get(unit.lower()[: -len(word)])
    elif unit in ("b", "B"):
        power = 0
    elif len(unit) == 2 and unit[1] == short and unit[0].isupper():
        power = _UNITS.get(unit[0])
    else:
        power = _UNITS.get(unit.upper())
    if power is None:
        raise refused
    return round(float(found[1]) * float(1024**power))
