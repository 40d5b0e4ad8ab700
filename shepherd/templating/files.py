"""Template files, as the `template` module renders them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.origin import Origin
from shepherd.templating import native
from shepherd.templating.scope import Layer, Scope

if TYPE_CHECKING:
    from shepherd.templating.environment import Environment
    from shepherd.templating.templates import Templates

_HEADER = "#jinja2:"


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """The options of the `template` module that shape the text. `destination` fills `template_destpath`."""

    block_start_string: str = "{%"
    block_end_string: str = "%}"
    variable_start_string: str = "{{"
    variable_end_string: str = "}}"
    comment_start_string: str = "{#"
    comment_end_string: str = "#}"
    trim_blocks: bool = True
    lstrip_blocks: bool = False
    newline_sequence: str = "\n"
    destination: str | None = None
    convert: bool = False  # of the template lookup: a text that spells a list or mapping becomes one
    variables: Mapping[str, Any] | None = None  # more variables, in front of all others


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
            options = _with_header(source, options)
            environment = self.environment(options)
            layers = [Layer(_about(path, status, options, scope), trusted=False, name="template")]
            if options.variables:
                layers.insert(0, Layer(options.variables, name="template_vars"))
            return self._run(environment, path, source, scope.child(*layers), options)
        except Exception as error:  # noqa: BLE001  # filters and lookups may raise anything: it becomes a message
            from shepherd.templating.explain import explained

            raise explained(error, source, scope, self._templates, path) from None

    def _run(self, environment: Environment, path: str, source: str, scope: Scope, options: TemplateOptions) -> Any:
        before = environment.search_path
        environment.search_path = _directories(path, scope)
        try:
            template = environment.source(path, source)
            nodes = template.nodes(scope)
        finally:
            environment.search_path = before
        value = native.concat(nodes) if options.convert else native.concat_text(nodes)
        if isinstance(value, str):
            wanted = len(source) - len(source.rstrip("\n"))
            value += options.newline_sequence * (wanted - (len(value) - len(value.rstrip("\n"))))
        return value

    def environment(self, options: TemplateOptions) -> Environment:
        key = tuple(getattr(options, name) for name in _LEXER)
        found = self._environments.get(key)
        if found is None:
            found = self._templates.environment.overlay(**dict(zip(_LEXER, key, strict=True)))
            found.forget_files()
            self._environments[key] = found
        return found


_LEXER = tuple(
    field.name for field in fields(TemplateOptions) if field.name not in ("destination", "convert", "variables")
)
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _with_header(source: str, options: TemplateOptions) -> TemplateOptions:
    """The options that a first line `#jinja2: trim_blocks:False, lstrip_blocks: True` sets."""
    if not source.startswith(_HEADER):
        return options
    line = source.split("\n", 1)[0][len(_HEADER) :]
    changes: dict[str, Any] = {}
    for part in line.split(","):
        name, colon, value = part.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or name not in _LEXER:
            raise TemplateError(
                f"the first line sets an unknown option {name!r}",
                hint="it may set " + ", ".join(_LEXER),
            )
        text = re.sub(r"^(['\"])(.*)\1$", r"\2", value)
        changes[name] = _BOOLEANS.get(text.lower(), False) if name.endswith("_blocks") else text
    return replace(options, **changes)


def without_header(source: str) -> str:
    return source.split("\n", 1)[1] if source.startswith(_HEADER) and "\n" in source else source


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
        "template_path": path,
        "template_fullpath": path,
        "template_destpath": options.destination,
        "template_mtime": datetime.fromtimestamp(status.st_mtime),
        "template_uid": owner,
        "template_run_date": datetime.now(),
    }
