"""Lookups in variables, settings, the inventory and the environment."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError, UndefinedVariable, nearest
from shepherd.templating.undefined import Undefined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking


def env(terms: list[Any], asking: Asking) -> list[Any]:
    default = asking.options.get("default", "")
    found = []
    for term in terms:
        name = str(term).split()[0]
        value = os.environ.get(name, default)
        if isinstance(value, Undefined):
            raise UndefinedVariable(f'The "env" lookup, found an undefined variable: {name}', name=name)
        found.append(value)
    return found


def variables(terms: list[Any], asking: Asking) -> list[Any]:
    found = []
    for term in terms:
        if not isinstance(term, str):
            raise TemplateError(f'Invalid setting identifier, "{term}" is not a string, its a {type(term)}')
        try:
            found.append(asking.scope[term])
        except (KeyError, UndefinedVariable) as error:
            if "default" in asking.options:
                found.append(asking.options["default"])
            elif isinstance(error, UndefinedVariable):
                raise
            else:
                raise UndefinedVariable(
                    f"No variable found with this name: {term}", name=term, hint=nearest(term, asking.scope)
                ) from None
    return found


def varnames(terms: list[Any], asking: Asking) -> list[Any]:
    """The names of variables that match regular expressions."""
    names = list(asking.scope)
    found = []
    for term in terms:
        try:
            pattern = re.compile(term)
        except (re.error, TypeError) as error:
            raise TemplateError(f'Unable to use "{term}" as a search parameter: {error}') from None
        found += [name for name in names if pattern.search(name)]
    return found


def config(terms: list[Any], asking: Asking) -> list[Any]:
    """Settings of the run, by Ansible's names. `on_missing` is error, warn or skip."""
    known = asking.scope.templates.settings
    found = []
    for term in terms:
        if term in known:
            found.append(known[term])
        elif asking.text("on_missing", "error") == "error":
            raise TemplateError(f"Unable to find setting {term}", hint=nearest(str(term), known))
    return found


def inventory_hostnames(terms: list[Any], asking: Asking) -> list[Any]:
    """The hosts that a pattern such as `web:!web2` selects."""
    groups: Mapping[str, Sequence[str]] = asking.scope.get("groups") or {}
    words = [word for term in terms for word in re.split("[:,]", term if isinstance(term, str) else ",".join(term))]
    words = [word.strip() for word in words if word.strip()]
    found: dict[str, None] = {}
    for word in [word for word in words if word[0] not in "&!"] or ["all"]:
        found.update(dict.fromkeys(_selected(word, groups)))
    for word in words:
        if word[0] == "&":
            wanted = set(_selected(word[1:], groups))
            found = {host: None for host in found if host in wanted}
    for word in words:
        if word[0] == "!":
            for host in _selected(word[1:], groups):
                found.pop(host, None)
    return list(found)


def _selected(word: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    match = re.compile(word[1:] if word.startswith("~") else fnmatch.translate(word)).match
    everyone = groups.get("all", ())
    found = [host for group, hosts in groups.items() if match(group) for host in hosts]
    return found or [host for host in everyone if match(host)]


LOOKUPS: dict[str, Lookup] = {
    "env": env,
    "vars": variables,
    "varnames": varnames,
    "config": config,
    "inventory_hostnames": inventory_hostnames,
}
