"""Puts the tables of filters, tests and globals into the Jinja environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from shepherd.templating import filters, functions, tests
from shepherd.templating.environment import Environment

if TYPE_CHECKING:
    from shepherd.templating.templates import Templates

# Jinja's filters that give an iterator, which Ansible makes a list
_STREAMING = ("map", "select", "reject", "selectattr", "rejectattr", "batch", "slice", "reverse", "items")
_PREFIXES = ("ansible.builtin.", "ansible.legacy.")


def make_environment(
    templates: Templates,
    more_filters: Mapping[str, Callable[..., Any]],
    more_tests: Mapping[str, Callable[..., Any]],
    more_globals: Mapping[str, Any],
) -> Environment:
    environment = Environment(templates, trim_blocks=True)
    environment.filters.update({**filters.table(), **more_filters})
    for name in _STREAMING:
        environment.filters[name] = _listing(environment.filters[name])
    environment.tests.update({**tests.table(), **more_tests})
    for table in (environment.filters, environment.tests):
        known: dict[str, Any] = dict(table)
        for prefix in _PREFIXES:
            table.update({prefix + name: function for name, function in known.items()})
    environment.globals.update(functions.table())
    environment.globals.update(more_globals)
    return environment


def _listing(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def listing(*args: Any, **options: Any) -> Any:
        found = function(*args, **options)
        return list(found) if isinstance(found, Iterator) else found

    return listing
