"""The lookups, by file. Each file has a LOOKUPS table of name → function of terms and an Asking."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError, TemplateError, UndefinedVariable, nearest
from shepherd.templating.lookups.asking import Asking
from shepherd.templating.native import Verbatim

if TYPE_CHECKING:
    from shepherd.templating.scope import Scope

Lookup = Callable[[list[Any], Asking], list[Any]]
_PREFIXES = ("ansible.builtin.", "ansible.legacy.", "community.general.")


class LookupFailed(UserWarning):
    """A lookup that failed under `errors='warn'`."""


@cache
def table() -> dict[str, Lookup]:
    from shepherd.templating.lookups import files, lists, password, programs, sequence, settings, tables

    found: dict[str, Lookup] = {}
    for part in (settings, files, lists, sequence, tables, programs, password):
        found.update(part.LOOKUPS)
    return found


def find(name: str, more: Mapping[str, Lookup]) -> Lookup:
    known = {**table(), **more}
    if name in known:
        return known[name]
    for prefix in _PREFIXES:
        if name.startswith(prefix) and name.removeprefix(prefix) in known:
            return known[name.removeprefix(prefix)]
    raise TemplateError(f"lookup plugin ({name}) not found", hint=nearest(name.rpartition(".")[2], known))


def run(
    name: str,
    terms: Sequence[Any],
    scope: Scope,
    more: Mapping[str, Lookup],
    *,
    wantlist: bool = False,
    errors: str = "strict",
    options: Mapping[str, Any],
) -> Any:
    """See Templates.lookup. `errors` is strict, warn or ignore."""
    if errors not in ("strict", "warn", "ignore"):
        raise TemplateError(f"errors is {errors!r}; it can be strict, warn or ignore")
    function = find(name, more)
    try:
        told = dict(options)
        directory = told.pop("_directory", "files")
        found = function(_sure(terms), Asking(name, told, scope, directory))
    except UndefinedVariable:
        raise
    except (ShepherdError, OSError, ValueError, TypeError, LookupError) as error:
        message = str(error) or type(error).__name__
        if errors == "strict":
            hint = error.hint if isinstance(error, ShepherdError) else None
            raise TemplateError(f"the lookup {name!r}: {message}", hint=hint) from error
        if errors == "warn":
            warnings.warn(LookupFailed(f"the lookup {name!r}: {message}"), stacklevel=2)
        return [] if wantlist else ""
    if wantlist:
        return found
    if all(isinstance(each, str) for each in found):
        joined = ",".join(found)
        return [] if not found else Verbatim(joined) if isinstance(found[0], Verbatim) else joined
    return found[0] if len(found) == 1 else found


def _sure(terms: Sequence[Any]) -> list[Any]:
    """The terms as a list, none of them undefined."""
    if isinstance(terms, (str, Mapping)):  # `with_dict: "{{ users }}"` gives the mapping itself
        return [terms]
    for term in terms:
        if getattr(term, "_undefined_exception", None) is not None:
            term._fail_with_undefined_error()
    return list(terms)
