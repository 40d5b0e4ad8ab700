"""What is sent to targets: modules, the target code they import, and what a helper starts from.

A source travels marshalled and compressed: as its code, where the target's Python reads the same bytecode as this one,
else as its text. Everything here is made once in a run of the controller and shared by all links.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import marshal
import re
import zlib
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from types import CodeType

PACKAGE = Path(__file__).parent
CORE = ("wire", "task", "child", "run", "helper")  # of shepherd.remote: what every helper needs
BYTECODE = importlib.util.MAGIC_NUMBER.hex()
PLAIN = 2  # the version of marshal's format that every Python 3 reads


class Source(NamedTuple):
    """One file of target code. `closure` is every other source that it may import, itself left out.

    `own` is True for Shepherd's: the helper imports those itself. A user's module is only ever imported in the process
    forked for a run.
    """

    name: str  # dotted, as it is imported on the target
    path: str  # what tracebacks call it, too
    text: bytes
    digest: str
    own: bool
    package: bool = False
    closure: tuple[Source, ...] = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def packed(self, bytecode: str) -> bytes:
        """The body of its SOURCE frames for a target that reads `bytecode` (from the hello)."""
        return _packed(self, bytecode == BYTECODE)

    def content(self, compiled: bool) -> CodeType | str:
        """Its code or its text. A text that is no Python stays one: the target says what is wrong with it."""
        code = None
        if compiled and self.own:  # Python itself keeps the code beside the file, in __pycache__
            code = SourceFileLoader(self.name, self.path).get_code(self.name)
        elif compiled:
            with contextlib.suppress(SyntaxError, ValueError):
                code = compile(self.text, self.path, "exec", dont_inherit=True)
        return code or self.text.decode("utf-8", "replace")


@functools.cache
def _packed(source: Source, compiled: bool) -> bytes:
    return _pack(source.content(compiled), compiled)


def _pack(value: CodeType | str | list[Any], compiled: bool, level: int = 1) -> bytes:
    return zlib.compress(marshal.dumps(value) if compiled else marshal.dumps(value, PLAIN), level)


def module(path: str | Path, name: str) -> Source:
    """The module in the file `path`, called `name` (`copy`, or dotted)."""
    return _module(str(path), name)


@functools.cache
def _module(path: str, name: str) -> Source:
    dotted = name if name.startswith("shepherd.") else f"shepherd.modules.{name}"
    return _with_closure(dotted, Path(path))


@functools.cache
def target(dotted: str) -> Source:
    """Target code of Shepherd's own, such as `shepherd.remote.relay`, with its closure."""
    path = _locate(dotted)
    if path is None:
        raise ModuleNotFoundError(dotted)
    return _with_closure(dotted, path)


@functools.cache
def boot() -> bytes:
    """What the first stage executes, zlib-compressed: boot.py, for any Python."""
    text = (PACKAGE / "remote" / "boot.py").read_text(encoding="utf-8")
    return zlib.compress(re.sub(r"(?m)^ *#.*\n", "", text).encode() + b"\nstart(b)\n", 9)


@functools.cache
def core(bytecode: str) -> bytes:
    """What boot.py reads once it has said hello: the size in eight digits, then what every helper needs."""
    compiled = bytecode == BYTECODE
    parts = []
    for name in CORE:
        source = _read(f"shepherd.remote.{name}", PACKAGE / "remote" / f"{name}.py", ())
        parts.append((source.name, source.path, source.content(compiled)))
    packed = _pack(parts, compiled, 6)  # every connection waits for it
    return b"%08d" % len(packed) + packed


@functools.cache
def modules_directory() -> Path:
    """Where Shepherd's own modules lie: installed as shepherd.modules, or beside the package in a source tree."""
    spec = importlib.util.find_spec("shepherd.modules")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else PACKAGE.parent / "modules"


@functools.cache
def _locate(dotted: str) -> Path | None:
    """The file of a dotted name under shepherd.remote, .runtime or .modules; None where it is none of ours."""
    parts = dotted.split(".")
    if parts[0] != "shepherd" or parts[1] not in ("remote", "runtime", "modules"):
        return None
    base = modules_directory() if parts[1] == "modules" else PACKAGE / parts[1]
    path = base.joinpath(*parts[2:])
    if len(parts) > 2 and path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    package = path / "__init__.py"
    if package.is_file() and any(not isinstance(node, ast.Expr) for node in ast.parse(package.read_bytes()).body):
        return package  # one with a docstring alone needs no sending
    return None


def _with_closure(dotted: str, path: Path) -> Source:
    seen = {dotted: path}
    waiting = [path]
    while waiting:
        for name in _imports(waiting.pop()):
            inner = _locate(name)
            if inner is not None and name not in seen and name not in _CORE_NAMES:
                seen[name] = inner
                waiting.append(inner)
    del seen[dotted]
    return _read(dotted, path, tuple(_read(name, inner, ()) for name, inner in seen.items()))


_CORE_NAMES = frozenset(f"shepherd.remote.{name}" for name in CORE)


@functools.cache
def _read(name: str, path: Path, closure: tuple[Source, ...]) -> Source:
    text = path.read_bytes()
    return Source(
        name=name,
        path=str(path),
        text=text,
        digest=hashlib.sha256(text).hexdigest(),
        own=path.parent == modules_directory() or PACKAGE in path.parents,
        package=path.name == "__init__.py",
        closure=closure,
    )


_IMPORT = re.compile(
    rb"""^[ \t]*(?:
        from[ \t]+(shepherd[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|.*)
        | import[ \t]+(shepherd[\w., \t]*)
    )""",
    re.MULTILINE | re.VERBOSE,
)


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """The dotted names under `shepherd.` that a file may import, anywhere in it, their packages included.

    Found by pattern, since parsing costs thirty times as much, on every start. What only looks like an import (in a
    text) does no harm: it is sent for nothing.
    """
    names: dict[str, None] = {}
    for match in _IMPORT.finditer(path.read_bytes()):
        package, members, modules = (group.decode("ascii", "replace") if group else "" for group in match.groups())
        if package:
            members = re.sub(r"#.*|[()]", "", members)
            found = [package, *(f"{package}.{part.split()[0]}" for part in members.split(",") if part.split())]
        else:
            found = [part.split()[0] for part in modules.split(",") if part.split()]
        for name in found:
            parts = name.split(".")
            if parts[0] == "shepherd":
                names.update(dict.fromkeys(".".join(parts[:end]) for end in range(2, len(parts) + 1)))
    return tuple(names)
