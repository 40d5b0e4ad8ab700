"""Template files, as the `template` module renders them."""

# ruff: noqa: PTH100, PTH116 -- names of files are text here
from __future__ import annotations

import ast
import os
import warnings
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.origin import Origin
from shepherd.templating import native
from shepherd.templating.scope import Layer, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.templating.environment import Environment
    from shepherd.templating.templates import Templates

HEADER = "#jinja2:"


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """The options of the `template` module that shape the text, and what the file is told of itself.

    `name` is the source as the user wrote it (`template_path`), `destination` fills `template_destpath`. `convert`,
    for the template lookup, makes a list or mapping of a text that spells one. `variables` stand before all others.
    """

    block_start_string: str = "{%"
    block_end_string: str = "%}"
    variable_start_string: str = "{{"
    variable_end_string: str = "}}"
    comment_start_string: str = "{#"
    comment_end_string: str = "#}"
    trim_blocks: bool = True
    lstrip_blocks: bool = False
    newline_sequence: str = "\n"
    name: str | None = None
    destination: str | None = None
    convert: bool = False
    variables: Mapping[str, Any] | None = None


class FileTemplates:
    """Environments by their delimiters, and the variables that template files have besides the host's."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._environments: dict[tuple[Any, ...], Environment] = {}

    def render(self, path: str, scope: Scope, options: TemplateOptions) -> Any:
        path = os.path.abspath(path)
        try:
            with open(path, encoding="utf-8", newline="") as handle:
                source = handle.read()
            status = os.stat(path)
        except OSError as error:
            raise TemplateError(f"cannot read the template {path}: {error.strerror}", origin=Origin(path)) from None
        except UnicodeDecodeError:
            raise TemplateError("the template is not UTF-8 text", origin=Origin(path)) from None
        try:
            body, options = _without_header(path, source, options)
            environment = self.environment(options)
            layers = [Layer(_about(path, status, options, scope), trusted=False, name="template")]
            if options.variables:
                layers.insert(0, Layer(options.variables, name="template_vars"))
            return self._run(environment, path, body, int(body is not source), scope.child(*layers), options)
        except Exception as error:  # noqa: BLE001  # filters and lookups may raise anything: it becomes a message
            from shepherd.templating.explain import explained

            raise explained(error, source, scope, self._templates, path) from None

    def _run(
        self, environment: Environment, path: str, source: str, skipped: int, scope: Scope, options: TemplateOptions
    ) -> Any:
        before = environment.search_path
        environment.search_path = _directories(path, scope)
        try:
            template = environment.source(path, source, skipped)
            nodes = template.nodes(scope)
        finally:
            environment.search_path = before
        value = native.concat(nodes) if options.convert else native.concat_text(nodes)
        if isinstance(value, str):
            wanted = len(source) - len(source.rstrip("\n"))
            value += options.newline_sequence * (wanted - (len(value) - len(value.rstrip("\n"))))
        return value

    def environment(self, options: TemplateOptions) -> Environment:
        key = (*(getattr(options, name) for name in _LEXER), options.convert)
        found = self._environments.get(key)
        if found is None:
            found = self._templates.environment.overlay(**dict(zip(_LEXER, key, strict=False)))
            found.forget_files()
            if not options.convert:
                found.concat = native.concat_text  # macros too give text
            self._environments[key] = found
        return found


_NOT_LEXER = ("name", "destination", "convert", "variables")
_LEXER = tuple(field.name for field in fields(TemplateOptions) if field.name not in _NOT_LEXER)


class UnknownHeader(UserWarning):
    """A first line `#jinja2:` that sets something unknown, which has no effect."""


def _without_header(path: str, source: str, options: TemplateOptions) -> tuple[str, TemplateOptions]:
    """The text after a first line `#jinja2: trim_blocks:False, lstrip_blocks: True`, and what that line sets."""
    if not source.startswith(HEADER):
        return source, options
    line, _, body = source.partition("\n")
    changes: dict[str, Any] = {}
    for part in line.removeprefix(HEADER).split(","):
        name, _, written = part.partition(":")
        name = name.strip()
        if name in _LEXER:
            changes[name] = _read(written.strip(), truth=name.endswith("_blocks"))
        else:
            warnings.warn(UnknownHeader(f"{path}:1: {name!r} is not one of {', '.join(_LEXER)}"), stacklevel=4)
    return body, replace(options, **changes)


def _read(written: str, *, truth: bool) -> Any:
    try:
        value = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        value = written
    if truth and isinstance(value, str):
        return value.lower() in ("true", "yes", "on", "1")
    return value


def _directories(path: str, scope: Scope) -> list[str]:
    """Where include and import look: the search path's templates/, each directory, then the file's own."""
    own = os.path.dirname(path)
    found: list[str] = []
    for directory in (*(scope.get("ansible_search_path") or ()), scope.get("playbook_dir") or own, own):
        found += [os.path.join(directory, "templates"), directory]
    return list(dict.fromkeys(found))


def _about(path: str, status: os.stat_result, options: TemplateOptions, scope: Scope) -> dict[str, Any]:
    import pwd
    import socket

    try:
        owner: Any = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = status.st_uid
    return {
        "ansible_managed": scope.get("ansible_managed", "Ansible managed"),
        "template_host": socket.gethostname(),
        "template_path": options.name or path,
        "template_fullpath": path,
        "template_destpath": options.destination,
        "template_mtime": datetime.fromtimestamp(status.st_mtime),
        "template_uid": owner,
        "template_run_date": datetime.now(),
    }
