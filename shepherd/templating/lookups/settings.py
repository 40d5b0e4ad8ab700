"""Lookups in variables and the environment."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from shepherd.errors import UndefinedVariable, nearest

if TYPE_CHECKING:
    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking


def env(terms: list[Any], asking: Asking) -> list[Any]:
    default = asking.options.get("default", "")
    return [os.environ.get(str(term).split()[0], default) for term in terms]


def variables(terms: list[Any], asking: Asking) -> list[Any]:
    found = []
    for term in terms:
        if not isinstance(term, str):
            raise TypeError(f"Invalid setting identifier, {term!r} is not a string, its a {type(term)}")
        try:
            found.append(asking.scope[term])
        except KeyError:
            if "default" not in asking.options:
                raise UndefinedVariable(
                    f"No variable found with this name: {term}", name=term, hint=nearest(term, asking.scope)
                ) from None
            found.append(asking.options["default"])
    return found


def varnames(terms: list[Any], asking: Asking) -> list[Any]:
    """The names of variables that match regular expressions."""
    names = list(asking.scope)
    found = []
    for term in terms:
        try:
            pattern = re.compile(term)
        except re.error as error:
            raise ValueError(f'Unable to use "{term}" as a search parameter: {error}') from None
        found += [name for name in names if pattern.search(name)]
    return found


LOOKUPS: dict[str, Lookup] = {"env": env, "vars": variables, "varnames": varnames}
