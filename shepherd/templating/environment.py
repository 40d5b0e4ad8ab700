"""Jinja as Ansible sets it up: lazy variables, chained undefined values, results that keep their type.

Imported only when a template is really rendered: importing Jinja takes longer than a short play.
"""

# ruff: noqa: PTH113 -- names of files are text here
from __future__ import annotations

import os.path
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.parser import Parser
from jinja2.runtime import Context as JinjaContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from shepherd.errors import UndefinedVariable
from shepherd.origin import Text
from shepherd.templating import native
from shepherd.templating.compiled import key_of
from shepherd.templating.scope import Layer, Scope, Written
from shepherd.templating.undefined import Undefined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import CodeType

    from shepherd.templating.templates import Templates

_DICT_METHODS = frozenset(name for name in dir(dict) if not name.startswith("_"))
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_OURS = frozenset({"origin", "literal"})  # what our strings, lists and dicts have and Python's have not


class Context(JinjaContext):
    """Names are looked up in a Scope, only when the template reads them."""

    def __init__(self, environment: Environment, scope: Scope, name: str | None, blocks: dict[str, Any]) -> None:
        self.parent = {}
        self.vars: dict[str, Any] = {}
        self.environment = environment
        self.eval_ctx = nodes.EvalContext(environment, name)
        self.exported_vars: set[str] = set()
        self.name = name
        self.globals_keys = set()
        self.blocks = {block: [function] for block, function in blocks.items()}
        self.scope = scope

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        try:
            return self.scope[key]
        except KeyError:
            return self.environment.globals.get(key, missing)
        except UndefinedVariable as error:
            return Undefined(name=key, cause=error)

    def get_all(self) -> Any:
        """A Scope, where Jinja has a dict: Template.new_context takes it from here."""
        return self.scope.child(Layer(self.vars, trusted=False)) if self.vars else self.scope

    def derived(self, locals: dict[str, Any] | None = None) -> Context:  # noqa: A002  # Jinja's name
        scope = self.get_all()
        context = Context(self.environment, _with_locals(scope, locals), self.name, {})  # type: ignore[arg-type]
        context.eval_ctx = self.eval_ctx
        context.blocks.update({name: list(functions) for name, functions in self.blocks.items()})
        return context


class CopyingContext(Context):
    """For templates that change lists and dicts (`x.append(…)`): they get copies, never the variables themselves."""

    def resolve_or_missing(self, key: str) -> Any:
        return _copied(super().resolve_or_missing(key))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copied(inner) for inner in value]
    return value


def _with_locals(scope: Scope, values: Mapping[str, Any] | None) -> Scope:
    present = {name: value for name, value in (values or {}).items() if value is not missing}
    return scope.child(Layer(present, trusted=False)) if present else scope


class Template(jinja2.Template):
    """A compiled template. `changes` says that its text calls a method that changes a list or dict."""

    changes = False
    skipped = 0  # lines of the file before the template's first: its header
    environment: Environment

    def new_context(
        self,
        vars: Any = None,  # noqa: A002  # Jinja's names
        shared: bool = False,  # noqa: ARG002
        locals: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> Context:
        scope = vars if isinstance(vars, Scope) else Scope((), self.environment.templates)
        kind = CopyingContext if self.changes else Context
        return kind(self.environment, _with_locals(scope, locals), self.name, self.blocks)

    def nodes(self, scope: Scope) -> list[Any]:
        """The values of the template's parts, in order."""
        kind = CopyingContext if self.changes else Context
        context = kind(self.environment, scope, self.name, self.blocks)
        return list(self.root_render_func(context))

    def value(self, scope: Scope) -> Any:
        """The value of an expression made by Environment.expression."""
        kind = CopyingContext if self.changes else Context
        context = kind(self.environment, scope, self.name, self.blocks)
        for _ in self.root_render_func(context):
            pass
        return context.vars["result"]


def _finalize(value: Any) -> Any:
    """Each printed value goes through this, in the template's own frame: so an undefined one is seen at its line."""
    if value is None:
        return ""
    if type(value) is Undefined:
        value._fail_with_undefined_error()
    return value


class CodeGenerator(NativeCodeGenerator):
    """Works nothing out when compiling: `100 | random` and `'/x' is exists` have a new answer each time."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Any, finalize: Any) -> Any:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


_CHANGING = (
    ".append(", ".extend(", ".insert(", ".remove(", ".pop(", ".popitem(", ".clear(", ".sort(", ".reverse(",
    ".update(", ".setdefault(", ".add(", ".discard(",
)  # fmt: skip


@contextmanager
def _quiet(source: str) -> Iterator[None]:
    """Python warns of "\\d" in a string: that is for the author of a program, not of a template."""
    if "\\" not in source:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Environment(SandboxedEnvironment):
    """Templates named by include, import or extends are looked for in `search_path`."""

    code_generator_class = CodeGenerator
    context_class = Context
    template_class = Template
    concat = staticmethod(native.concat)

    def __init__(self, templates: Templates, **options: Any) -> None:
        super().__init__(
            undefined=Undefined, finalize=_finalize, autoescape=False, optimized=False, cache_size=0, **options
        )
        self.templates = templates
        self._here = threading.local()  # overlays share it: they only ever render one inside the other
        self._files: dict[str, tuple[str, Template]] = {}

    @property
    def search_path(self) -> Sequence[str]:
        """Of the file that this thread renders now (see turns.py)."""
        found: Sequence[str] = getattr(self._here, "search_path", ())
        return found

    @search_path.setter
    def search_path(self, directories: Sequence[str]) -> None:
        self._here.search_path = directories

    # --- compiling ---

    def text(self, source: str) -> Template:
        """Compile a text from a playbook: backslashes in strings inside {{ }} stand for themselves."""

        def compiled() -> CodeType:
            return self.compile(self._keep_backslashes(source) if "\\" in source else source)

        return self._made("text", source, compiled, keep=isinstance(source, Text))

    def expression(self, source: str) -> Template:
        """Compile a bare expression, to be read with Template.value."""

        def compiled() -> CodeType:
            try:
                parser = Parser(self, source, state="variable")
                body = parser.parse_expression()
                if not parser.stream.eos:
                    parser.fail(f"unexpected {parser.stream.current.value!r}", parser.stream.current.lineno)
                body.set_environment(self)
            except jinja2.TemplateSyntaxError:
                self.handle_exception(source=source)
            assign = nodes.Assign(nodes.Name("result", "store"), body, lineno=1)
            return self.compile(nodes.Template([assign], lineno=1))

        return self._made("expression", source, compiled, keep=isinstance(source, Text))

    def _made(self, kind: str, source: str, compiled: Callable[[], CodeType], *, keep: bool) -> Template:
        """The template; `keep` its code for later runs."""
        kept = self.templates.compiled if keep else None
        key = key_of(kind, source, self._lexing()) if kept is not None else b""
        code = kept.get(key) if kept is not None else None
        if code is None:
            with _quiet(source):
                code = compiled()
            if kept is not None:
                kept.put(key, code)
        made: Template = self.template_class.from_code(self, code, self.globals, None)  # type: ignore[assignment]
        made.changes = any(call in source for call in _CHANGING)
        return made

    def _lexing(self) -> tuple[Any, ...]:
        return (
            *(self.block_start_string, self.block_end_string, self.variable_start_string, self.variable_end_string),
            *(self.comment_start_string, self.comment_end_string, self.trim_blocks, self.lstrip_blocks),
            self.newline_sequence,
        )

    def _keep_backslashes(self, source: str) -> str:
        pieces = []
        inside = False
        for _, kind, piece in self.lex(source):
            if kind == "variable_begin":
                inside = True
            elif kind == "variable_end":
                inside = False
            elif inside and kind == "string":
                piece = piece.replace("\\", "\\\\")
            pieces.append(piece)
        return "".join(pieces)

    # --- files ---

    def forget_files(self) -> None:
        """An overlay has delimiters of its own, so what was compiled for another does not serve."""
        self._files = {}

    def source(self, path: str, source: str, skipped: int = 0) -> Template:
        """The file `path`, whose text is `source` without the `skipped` first lines; compiled once for each text."""
        known = self._files.get(path)
        if known is not None and known[0] == source:
            return known[1]
        made = self._made(f"file {path}", source, lambda: self.compile(source, path, path), keep=True)
        made.skipped = skipped
        self._files[path] = (source, made)
        return made

    def file(self, path: str) -> Template:
        """The file `path`, named by another template."""
        try:
            with open(path, encoding="utf-8", newline="") as handle:
                return self.source(path, handle.read())
        except OSError as error:
            raise jinja2.TemplateNotFound(path, f"cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise jinja2.TemplateNotFound(path, f"{path} is not UTF-8 text") from None

    def get_template(self, name: Any, parent: str | None = None, globals: Any = None) -> Any:  # noqa: A002, ARG002
        if isinstance(name, Undefined):
            name._fail_with_undefined_error()
        if isinstance(name, jinja2.Template):
            return name
        for directory in self.search_path:
            path = os.path.normpath(os.path.join(directory, name))
            if os.path.isfile(path):
                return self.file(path)
        looked = ", ".join(self.search_path)
        raise jinja2.TemplateNotFound(name, f"cannot find the template {name!r}" + (f" in {looked}" if looked else ""))

    def select_template(self, names: Any, parent: str | None = None, globals: Any = None) -> Any:  # noqa: A002
        if isinstance(names, Undefined):
            names._fail_with_undefined_error()
        for name in names:
            try:
                return self.get_template(name, parent, globals)
            except jinja2.TemplateNotFound:
                continue
        raise jinja2.TemplatesNotFound(list(names))

    # --- reading attributes and items ---

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):  # by far the most frequent: no exception on the way to a plain key
            if attribute not in _DICT_METHODS:
                try:
                    return obj[attribute]
                except KeyError:
                    return Undefined(obj=obj, name=attribute)
        elif isinstance(obj, (Scope, Written)):
            if attribute not in _MAPPING_METHODS:
                return self.getitem(obj, attribute)
        elif attribute in _OURS and isinstance(obj, (Text, list)):
            return Undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except UndefinedVariable as error:
            return Undefined(name=str(argument), cause=error)
        except (AttributeError, TypeError, LookupError):
            if isinstance(obj, Scope) or argument in ("origin", "literal"):
                return Undefined(obj=obj, name=argument)
            return super().getitem(obj, argument)

    def name_of(self, code: Any) -> str | None:
        """The filter or test whose function runs this code object."""
        for kind, table in (("filter", self.filters), ("test", self.tests)):
            for name, function in table.items():
                if getattr(function, "__code__", None) is code:
                    return f"the {kind} {name!r}"
        return None
