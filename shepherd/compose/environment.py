"""Files of variables: `.env` beside a Compose file, and `env_file` of a service.

Lines are NAME=value, `export NAME=value` or NAME alone. A value without quotes ends at ` #` and may have variables; in
double quotes it may have variables, lines and the escapes of n, r, t, $, quotes and backslashes; in single quotes it is
what stands there.
(docs.docker.com: "Env file syntax"). Messages say the line, and never show it: it may be a secret.
"""

from __future__ import annotations

import os
import re
from collections import ChainMap
from typing import TYPE_CHECKING

from shepherd.compose.interpolation import WrongError, substitute
from shepherd.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[^\s=:#'\"]+)[ \t]*(?P<sign>[=:]?)[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def read(path: str, known: Mapping[str, str], raw: bool = False) -> dict[str, str | None]:
    """The variables in a file; None for a NAME alone that `known` does not have. Raises ParseError.

    `known` may be referred to, as may what stands above. `raw`: values are what stands behind the =.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise ParseError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise ParseError(f"cannot read {path}: {error.strerror}") from None
    return _raw(path, text) if raw else _parse(path, text, known)


def _raw(path: str, text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, equals, value = line.partition("=")
            if not name.strip() or not equals:
                raise ParseError(f"{path}, line {number}: should be NAME=value")
            found[name.strip()] = value
    return found


def _parse(path: str, text: str, known: Mapping[str, str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    above: dict[str, str] = {}
    variables = ChainMap(dict(known), above)
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].strip()
        if not line or line.startswith("#"):
            at = end + 1
            continue
        start = _LINE.match(text, at)
        if start is None:
            raise _wrong(path, text, at, "should be NAME=value")
        name = start["name"]
        if not start["sign"]:
            if text[start.end() : end].strip():
                raise _wrong(path, text, at, "should be NAME=value")
            found[name] = known.get(name)
            at = end + 1
            continue
        try:
            found[name], at = _value(text, start.end(), end, variables)
        except WrongError as error:
            raise _wrong(path, text, at, str(error)) from None
        above[name] = found[name] or ""
    return found


def _wrong(path: str, text: str, at: int, message: str) -> ParseError:
    line = text.count("\n", 0, at) + 1
    return ParseError(f"{path}, line {line}: {message}")


def _value(text: str, at: int, end: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """The value that begins at `at`, in a line that ends at `end`, and where the next line begins."""
    quoted = {"'": _SINGLE, '"': _DOUBLE}.get(text[at : at + 1])
    if quoted is None:
        plain = re.split(r"(?:^|\s)#", text[at:end], maxsplit=1)[0].strip()
        return substitute(plain, variables)[0], end + 1
    found = quoted.match(text, at)
    if found is None:
        raise WrongError("the quotes are not closed")
    end = text.find("\n", found.end())
    end = len(text) if end < 0 else end
    rest = text[found.end() : end].strip()
    if rest and not rest.startswith("#"):
        raise WrongError("something follows the closing quote")
    if quoted is _SINGLE:
        return found[1], end + 1
    escaped = _ESCAPE.sub(lambda one: _ESCAPES.get(one[1], one[0]), found[1])
    return substitute(escaped, variables)[0], end + 1


def beside(folder: str, known: Mapping[str, str]) -> dict[str, str]:
    """The variables of a project in `folder`: those of its `.env`, if it has one, and `known`, which hold."""
    path = os.path.join(folder, ".env")
    found = read(path, known) if os.path.isfile(path) else {}
    return {**{name: value for name, value in found.items() if value is not None}, **known}
