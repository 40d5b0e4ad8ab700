"""Variables in the values of a Compose file.

$A, ${A}, ${A:-default}, ${A-default}, ${A:?message}, ${A?message}, ${A:+value}, ${A+value}, nested; $$ is a dollar.
With the colon an empty variable counts as none. (compose-spec, 12-interpolation.md) A $ that neither a name nor a brace
follows, as in $(date), stays as it is, which is what Compose does.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shepherd.compose.yaml_file import Override
from shepherd.origin import Mapping, Sequence, Text

if TYPE_CHECKING:
    from collections.abc import Mapping as Lookup

    from shepherd.compose.where import Faults, Where

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_HINT = "$$ stands for a dollar"


class WrongError(ValueError):
    """What is no interpolation, or a variable that must be set and is not."""


class _Text:
    """One text and how far it is read. `missing` are the variables that nobody set and that have no default."""

    def __init__(self, text: str, variables: Lookup[str, str]) -> None:
        self.text = text
        self.variables = variables
        self.at = 0
        self.missing: list[str] = []

    def read(self, inside: bool = False, live: bool = True) -> str:
        """Up to the end, or inside braces up to the closing one. Where not `live`, nobody needs what it comes to."""
        made = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if inside and character == "}":
                break
            if character == "$":
                made.append(self._variable(live))
            else:
                made.append(character)
                self.at += 1
        return "".join(made)

    def _variable(self, live: bool) -> str:
        rest = self.text[self.at + 1 : self.at + 2]
        if rest == "$":
            self.at += 2
            return "$"
        if rest == "{":
            self.at += 2
            return self._braced(live)
        self.at += 1
        return self._plain(self._name(), live) if _NAME.match(rest) else "$"

    def _name(self) -> str:
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise WrongError("a ${ that no name of a variable follows")
        self.at = found.end()
        return found[0]

    def _plain(self, name: str, live: bool) -> str:
        if live and name not in self.variables:
            self.missing.append(name)
        return self.variables.get(name, "")

    def _braced(self, live: bool) -> str:
        name = self._name()
        found = _OPERATOR.match(self.text, self.at)
        if found is None:
            made = self._plain(name, live)
        else:
            self.at = found.end()
            made = self._chosen(name, found[0], live)
        if self.text[self.at : self.at + 1] != "}":
            raise WrongError(f"${{{name} is not closed, or what follows the name is no operator")
        self.at += 1
        return made

    def _chosen(self, name: str, operator: str, live: bool) -> str:
        value = self.variables.get(name)
        is_set = bool(value) if operator[0] == ":" else value is not None
        kind = operator[-1]
        other = self.read(True, live and is_set == (kind == "+"))
        if kind == "+":
            return other if is_set else ""
        if kind == "?" and live and not is_set:
            raise WrongError(f"the variable {name} must be set" + (f": {other}" if other else ""))
        return value or "" if is_set else other


def substitute(text: str, variables: Lookup[str, str]) -> tuple[str, list[str]]:
    """The text with its variables replaced, and the names of those that nobody set. Raises WrongError."""
    found = _Text(text, variables)
    return found.read(), found.missing


def interpolate(value: Any, variables: Lookup[str, str], where: Where, faults: Faults) -> Any:
    """All values below `value`, keys excepted. One that is wrong is noted in `faults`, and stays as it was written."""
    if isinstance(value, str):
        if "$" in value:
            with faults:
                return _scalar(value, variables, where)
        return value
    if isinstance(value, dict):
        made = Mapping()
        made.origin = value.origin if isinstance(value, Mapping) else where.origin  # type: ignore[assignment]  # read, so there
        for key, inner in value.items():
            made[key] = interpolate(inner, variables, where.into(key, inner), faults)
        return made
    if isinstance(value, list):
        items = Sequence()
        items.origin = value.origin if isinstance(value, Sequence) else where.origin  # type: ignore[assignment]  # as above
        for number, inner in enumerate(value):
            items.append(interpolate(inner, variables, where.into(number, inner), faults))
        return items
    if isinstance(value, Override):
        return Override(interpolate(value.value, variables, where, faults), value.origin)
    return value


def _scalar(value: str, variables: Lookup[str, str], where: Where) -> str:
    origin = getattr(value, "origin", where.origin)
    place = replace(where, origin=origin)
    try:
        text, missing = substitute(value, variables)
    except WrongError as error:
        raise place.error(str(error), None if "must be set" in str(error) else _HINT) from None
    for name in missing:
        place.warn(f"the variable {name} is not set, and counts as empty")
    return Text(text, origin) if origin else text
