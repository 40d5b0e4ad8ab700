"""Turns whatever went wrong in a template into one message with the place it happened at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError

from shepherd.errors import ShepherdError, TemplateError, UndefinedVariable, nearest
from shepherd.origin import Origin, Text
from shepherd.templating import catalogue
from shepherd.templating.files import HEADER
from shepherd.templating.undefined import Unresolved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from shepherd.templating.scope import Scope
    from shepherd.templating.templates import Templates


def explained(
    error: Exception, source: str, scope: Scope, templates: Templates, path: str | None = None
) -> ShepherdError:
    """The error to raise for `error`, which came from rendering `source` (the text of the file `path`, if given)."""
    line, filename, culprit = _where(error.__traceback__)
    origin = _in_file(filename or path, line, _sought(error)) if path else _advanced(source, line or 1)
    if isinstance(error, ShepherdError):
        if error.origin is None:
            error.origin = origin
        return error
    if isinstance(error, Unresolved):
        hint = _known(error, scope)
        return UndefinedVariable(str(error), name=_name(error), origin=origin, hint=hint)
    if isinstance(error, jinja2.UndefinedError):
        return UndefinedVariable(str(error), origin=origin)
    if isinstance(error, jinja2.TemplateSyntaxError):
        skipped = int(source.startswith(HEADER) and error.filename in (None, path))
        at = (
            _advanced(source, error.lineno)
            if path is None
            else _in_file(error.filename or path, error.lineno + skipped)
        )
        if isinstance(error, jinja2.TemplateAssertionError) and "named" in str(error.message):
            return _unknown(str(error.message), at, templates)
        return TemplateError(f"template syntax: {error.message}", origin=at, hint=_syntax_hint(error.message or ""))
    if isinstance(error, jinja2.TemplateNotFound):
        return TemplateError(str(error), origin=origin)
    if isinstance(error, SecurityError):
        return TemplateError(f"not allowed in a template: {error}", origin=origin)
    if isinstance(error, RecursionError):
        return TemplateError(
            "templates that refer to each other without end",
            origin=origin,
            hint="a variable cannot be made from its own value, also not by way of another host",
        )
    if isinstance(error, jinja2.TemplateRuntimeError) and "named" in str(error):
        return _unknown(str(error), origin, templates)
    name = templates.environment.name_of(culprit) if culprit else None
    message = str(error) or type(error).__name__
    if isinstance(error, KeyError):
        message = f"no key {message}"
    return TemplateError(f"{name}: {message}" if name else message, origin=origin)


def _where(traceback: TracebackType | None) -> tuple[int | None, str | None, Any]:
    """Line and file of the innermost template on the way, and the code that the template called there."""
    line = filename = culprit = None
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(traceback.tb_lineno) + template.skipped
            filename = template.filename
            following = traceback.tb_next
            culprit = following.tb_frame.f_code if following else None
        traceback = traceback.tb_next
    return line, filename if filename != "<template>" else None, culprit


def _sought(error: Exception) -> str | None:
    """The word whose column is to be shown."""
    return _name(error) if isinstance(error, Unresolved) else None


def _in_file(path: str, line: int | None, word: str | None = None) -> Origin:
    """A line of a template file; the column is that of `word`, or of the first delimiter."""
    if not line:
        return Origin(path)
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            text = handle.read().split("\n")[line - 1]
    except (OSError, IndexError):
        return Origin(path, line, 1)
    places = [text.find(mark) for mark in (word, "{{", "{%") if mark]
    return Origin(path, line, next((place + 1 for place in places if place >= 0), 1))


def _advanced(source: str, line: int) -> Origin | None:
    """The place of a line inside a text from YAML."""
    if not isinstance(source, Text):
        return None
    origin = source.origin
    if "\n" not in source or not origin.line:
        return origin
    try:
        with open(origin.file, encoding="utf-8", errors="replace") as handle:
            written = handle.read().splitlines()[origin.line - 1][origin.column - 1 :]
    except (OSError, IndexError):
        return origin
    if written[:1] == "|":  # a block: its text begins on the next line
        return Origin(origin.file, origin.line + line)
    return origin


def _name(error: Unresolved) -> str | None:
    return error.name if isinstance(error.name, str) else None


def _known(error: Unresolved, scope: Scope) -> str | None:
    name = _name(error)
    if name is None:
        return None
    if error.owner is None:
        return nearest(name, scope)
    if isinstance(error.owner, Mapping):
        return nearest(name, (key for key in error.owner if isinstance(key, str)))
    return None


def unknown_names(parsed: nodes.Template, source: str, templates: Templates) -> Iterator[TemplateError]:
    """What is wrong with the filters and tests that `parsed`, made of `source`, names."""
    environment = templates.environment
    for kind, node_type, table in (
        ("filter", nodes.Filter, environment.filters),
        ("test", nodes.Test, environment.tests),
    ):
        for node in parsed.find_all(node_type):
            if node.name not in table:
                yield _unknown(f"No {kind} named {node.name!r} found.", _advanced(source, node.lineno), templates)


def _unknown(message: str, origin: Origin | None, templates: Templates) -> TemplateError:
    """Jinja's "No filter named 'x' found." with what can be done about it."""
    kind, name = ("test" if "test named" in message else "filter"), message.split("'")[1]
    environment = templates.environment
    table: Any = environment.tests if kind == "test" else environment.filters
    return TemplateError(f"unknown {kind} {name!r}", origin=origin, hint=catalogue.hint(name, table))


def _syntax_hint(message: str) -> str | None:
    if "unknown tag" in message:
        return "Jinja's tags are for, if, set, macro, call, filter, include, import, from, extends, block, with, raw"
    return None
