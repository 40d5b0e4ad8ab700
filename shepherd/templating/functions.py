"""The functions that templates can call besides Jinja's own: lookup, query, q, now, undef."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context

from shepherd.templating.undefined import Undefined

if TYPE_CHECKING:
    from collections.abc import Callable

    from shepherd.templating.environment import Context


@pass_context
def lookup(context: Context, name: str, /, *terms: Any, **options: Any) -> Any:
    """`lookup('file', 'a', 'b', wantlist=False, errors='strict', …)`."""
    templates = context.environment.templates  # type: ignore[attr-defined]
    return templates.lookup(name, terms, context.scope, **options)


@pass_context
def query(context: Context, name: str, /, *terms: Any, **options: Any) -> Any:
    """As lookup, but always a list."""
    options["wantlist"] = True
    return lookup(context, name, *terms, **options)


def now(utc: bool = False, fmt: str | None = None) -> Any:
    """The time as a datetime without zone, or as text where `fmt` (strftime) is given."""
    moment = datetime.now(UTC).replace(tzinfo=None) if utc else datetime.now()
    return moment.strftime(fmt) if fmt else moment


def undef(hint: str | None = None) -> Undefined:
    """A value that must be overridden: using it is an error that shows `hint`."""
    return Undefined(hint=hint or "Mandatory variable has not been overridden")


def table() -> dict[str, Callable[..., Any]]:
    return {
        "lookup": lookup,
        "query": query,
        "q": query,
        "now": now,
        "undef": undef,
        "range": range,
    }
