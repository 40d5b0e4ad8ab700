"""Rendering: values, expressions, conditions and files. One `Templates` serves a whole run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError, TemplateError, UndefinedVariable, nearest
from shepherd.origin import Text
from shepherd.templating import native
from shepherd.templating.compiled import CompiledTemplates
from shepherd.templating.files import FileTemplates, TemplateOptions
from shepherd.templating.scope import Scope

if TYPE_CHECKING:
    from shepherd.templating.environment import Environment, Template
    from shepherd.templating.lookups import Lookup

__all__ = ["DelimitersInCondition", "TemplateOptions", "Templates", "UnknownName", "is_template"]

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}\n?\Z", re.ASCII)
_KEYWORDS = frozenset(["true", "false", "none", "True", "False", "None", "not", "and", "or", "if", "else", "in", "is"])
_Program = Callable[[Scope], Any]


class DelimitersInCondition(UserWarning):
    """`when: "{{ x }}"`: works, but the braces are not needed and the value is evaluated twice."""


class UnknownName(UserWarning):
    """A filter or test that nobody has. Not an error before it is met: the task may never run."""


def is_template(value: Any) -> bool:
    """Whether rendering could change `value`: a string with delimiters, or a list or mapping that holds one."""
    if isinstance(value, str):
        return (
            "{" in value
            and ("{{" in value or "{%" in value or "{#" in value)
            and not (isinstance(value, Text) and value.literal)
        )
    if isinstance(value, dict):
        return any(map(is_template, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(is_template, value))
    return False


class Templates:
    """Compiles each template once.

    `filters`, `tests`, `lookups` and `globals` add to Shepherd's own tables, or override them; `settings` are what the
    lookup `config` tells; `cache` is the file that keeps compiled templates between runs (see `compiled`).
    """

    def __init__(
        self,
        *,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        tests: Mapping[str, Callable[..., Any]] | None = None,
        lookups: Mapping[str, Lookup] | None = None,
        globals: Mapping[str, Any] | None = None,  # noqa: A002  # Jinja's word for them
        settings: Mapping[str, Any] | None = None,
        cache: str | None = None,
    ) -> None:
        self.compiled = CompiledTemplates(cache) if cache else None
        self.settings = settings or {}
        self._filters = dict(filters or {})
        self._tests = dict(tests or {})
        self._lookups = dict(lookups or {})
        self._globals = dict(globals or {})
        self._environment: Environment | None = None
        self._programs: dict[str, _Program] = {}
        self._expressions: dict[str, Template] = {}
        self._plain: dict[int, Any] = {}  # containers from YAML that hold no template, by identity
        self._files = FileTemplates(self)

    @property
    def environment(self) -> Environment:
        """Jinja, set up when first needed."""
        if self._environment is None:
            from shepherd.templating.setup import make_environment

            self._environment = make_environment(self, self._filters, self._tests, self._globals)
        return self._environment

    def prepare(self) -> None:
        """Import Jinja now, when there is time, and not when the first template needs it."""
        _ = self.environment

    def close(self) -> None:
        """The run is over: keep what was compiled."""
        if self.compiled is not None:
            self.compiled.save()

    def check(self, text: str) -> None:
        """Parse a template, and render nothing: bad syntax is met before anything runs. Raises TemplateError.

        Warns of filters and tests that do not exist.
        """
        if text in self._programs or _VARIABLE.match(text) or not is_template(text):
            return
        self._parse(text, text)

    def check_condition(self, text: str) -> None:
        """As `check`, for the bare expression of a condition."""
        if is_template(text):
            self.check(text)
            return
        if text in self._expressions or text.isidentifier():
            return
        self._parse("{{ " + text + "\n}}", text)

    def _parse(self, template: str, written: str) -> None:
        from shepherd.templating.explain import unknown_names

        try:
            parsed = self.environment.parse(template)
        except Exception as error:  # noqa: BLE001  # as in render
            raise self._explained(error, written, Scope((), self)) from None
        for unknown in unknown_names(parsed, written, self):
            warnings.warn(UnknownName(unknown.render()), stacklevel=2)

    # --- values ---

    def render(self, value: Any, scope: Scope) -> Any:
        """The value with its templates rendered, in lists and mappings too (not in keys). Others come back as they are.

        A template that is one expression may give any type; see `native`. Raises TemplateError with the place.
        """
        if isinstance(value, str):
            if "{" not in value or not is_template(value):
                return value
            program = self._programs.get(value)
            try:
                if program is None:
                    program = self._programs[value] = self._compile(value)
                return program(scope)
            except Exception as error:  # noqa: BLE001  # filters and lookups may raise anything: it becomes a message
                raise self._explained(error, value, scope) from None
        if isinstance(value, dict):
            if id(value) in self._plain or self._known_plain(value):
                return value
            return {key: self.render(inner, scope) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            if id(value) in self._plain or self._known_plain(value):
                return value
            return [self.render(inner, scope) for inner in value]
        return value

    def _known_plain(self, value: Any) -> bool:
        if is_template(value) or isinstance(value, tuple):
            return False
        if hasattr(value, "origin"):  # read from a file: lives as long as the run, and will be read again
            self._plain[id(value)] = value
        return True

    def _compile(self, source: str) -> _Program:
        variable = _VARIABLE.match(source)
        if variable and variable[1] not in _KEYWORDS:
            return self._variable(variable[1], source)
        template = self.environment.text(source)
        newlines = len(source) - len(source.rstrip("\n"))

        def run(scope: Scope) -> Any:
            value = native.concat(template.nodes(scope))
            if newlines and isinstance(value, str):  # Jinja drops the last newline, Ansible puts it back
                value += "\n" * (newlines - (len(value) - len(value.rstrip("\n"))))
            return value

        return run

    def _variable(self, name: str, source: str) -> _Program:
        """`{{ name }}`: needs no Jinja. Numbers, booleans and null keep their type only where written as such."""
        newlines = len(source) - len(source.rstrip("\n"))

        def run(scope: Scope) -> Any:
            try:
                value = scope[name]
            except KeyError:
                found = self.environment.globals.get(name)
                if found is None:
                    raise UndefinedVariable(f"'{name}' is undefined", name=name, hint=nearest(name, scope)) from None
                return native.convert(found)
            if value is None or isinstance(value, (bool, int, float)):
                written = scope.raw(name)
                if written is None or isinstance(written, (bool, int, float)):
                    return written
            value = native.convert(value)
            if newlines and isinstance(value, str) and not value.endswith("\n"):
                value += "\n"
            return value

        return run

    # --- expressions ---

    def evaluate(self, expression: str, scope: Scope) -> Any:
        """The value of a bare expression as `{{ expression }}` gives it: what `debug: var=` shows."""
        place = expression.origin if isinstance(expression, Text) else None
        source = "{{" + expression + "}}"
        return self.render(Text(source, place) if place else source, scope)

    def condition(self, value: Any, scope: Scope) -> bool:
        """Whether `when`, `until`, `failed_when`, … holds: a boolean, an expression, or a list of which all must."""
        if isinstance(value, bool):
            return value
        if isinstance(value, (list, tuple)):
            return all(self.condition(inner, scope) for inner in value)
        if value is None or value == "":
            return True
        if not isinstance(value, str):
            return bool(value)
        try:
            return self._holds(value, scope)
        except TemplateError as error:
            error.message = f"The conditional check '{value}' failed. The error was: {error.message}"
            error.args = (error.message,)
            raise

    def _holds(self, source: str, scope: Scope) -> bool:
        if is_template(source):
            warnings.warn(
                DelimitersInCondition(
                    f"conditions should not contain {{{{ }}}} or {{% %}}: {source}"
                    + (f" ({source.origin})" if isinstance(source, Text) else "")
                ),
                stacklevel=3,
            )
            rendered = self.render(source, scope)
            if not isinstance(rendered, str):
                return bool(rendered)
            if rendered == "":
                return False
            source = Text(rendered, source.origin) if isinstance(source, Text) else rendered
        compiled = self._expressions.get(source)
        try:
            if compiled is None:
                compiled = self._expressions[source] = self.environment.expression(source)
            return bool(compiled.value(scope))
        except Exception as error:  # noqa: BLE001  # as in render
            raise self._explained(error, source, scope) from None

    # --- files and lookups ---

    def render_file(self, path: str, scope: Scope, *, options: TemplateOptions | None = None) -> str:
        """The text of the template file `path`, as the template module writes it. Includes are found beside it."""
        rendered: str = self._files.render(path, scope, options or TemplateOptions())
        return rendered

    def lookup(
        self,
        name: str,
        terms: Sequence[Any],
        scope: Scope,
        *,
        wantlist: bool = False,
        errors: str = "strict",
        **options: Any,
    ) -> Any:
        """What a lookup finds: a list where `wantlist`, else strings joined by commas, or the only value."""
        from shepherd.templating import lookups

        return lookups.run(name, terms, scope, self._lookups, wantlist=wantlist, errors=errors, options=options)

    def _explained(self, error: Exception, source: str, scope: Scope) -> ShepherdError:
        if isinstance(error, UndefinedVariable) and error.origin is not None:
            return error
        from shepherd.templating.explain import explained

        return explained(error, source, scope, self)
