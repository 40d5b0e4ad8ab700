"""What is sent to targets: modules, the target code they import, and the bundle that a helper starts from.

Everything here is read once in a run of the controller and shared by all links.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from shepherd.errors import ParseError

PACKAGE = Path(__file__).parent
BUNDLED = ("wire", "task", "child", "run", "helper")  # of shepherd.remote: what every link needs


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file of target code, ready to be sent. `closure` is every other source that it may import, itself left out.

    `own` is True for Shepherd's: the helper imports those itself. A user's module is only imported in the process
    forked for a run.
    """

    name: str  # dotted, as it is imported on the target
    path: str
    file: str  # what tracebacks call it
    packed: bytes = field(repr=False)  # zlib
    digest: str
    own: bool
    package: bool = False
    closure: tuple[Source, ...] = field(default=(), repr=False)


def module(path: str | Path, name: str) -> Source:
    """The module in the file `path`, called `name` (`copy`, or dotted). Raises ParseError where it is no Python."""
    return _module(str(path), name)


@functools.cache
def _module(path: str, name: str) -> Source:
    dotted = name if name.startswith("shepherd.") else f"shepherd.modules.{name}"
    return _with_closure(_Found(dotted, Path(path)))


@functools.cache
def target(dotted: str) -> Source:
    """Target code of Shepherd's own, such as `shepherd.remote.relay`, with its closure."""
    found = _locate(dotted)
    if found is None:
        raise ModuleNotFoundError(dotted)
    return _with_closure(found)


@functools.cache
def bundle() -> bytes:
    """What the first stage executes: boot.py, and the sources that every link needs, zlib-compressed."""
    sources = {}
    for name in BUNDLED:
        path = PACKAGE / "remote" / f"{name}.py"
        sources[f"shepherd.remote.{name}"] = (_shown(path), _slim(path.read_text(encoding="utf-8")))
    boot = _slim((PACKAGE / "remote" / "boot.py").read_text(encoding="utf-8"))
    return zlib.compress(f"{boot}\nstart(b, {sources!r})\n".encode(), 9)


@functools.cache
def modules_directory() -> Path:
    """Where Shepherd's own modules lie: installed as shepherd.modules, or beside the package in a source tree."""
    spec = importlib.util.find_spec("shepherd.modules")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else PACKAGE.parent / "modules"


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    path: Path


@functools.cache
def _locate(dotted: str) -> _Found | None:
    """The file of a dotted name under shepherd.remote, .runtime or .modules; None where it is none of ours."""
    head, _, rest = dotted.partition(".")
    area, _, rest = rest.partition(".")
    if head != "shepherd" or area not in ("remote", "runtime", "modules"):
        return None
    base = modules_directory() if area == "modules" else PACKAGE / area
    path = base.joinpath(*rest.split(".")) if rest else base
    if rest and path.with_suffix(".py").is_file():
        return _Found(dotted, path.with_suffix(".py"))
    package = path / "__init__.py"
    if package.is_file() and any(not isinstance(node, ast.Expr) for node in ast.parse(package.read_bytes()).body):
        return _Found(dotted, package)  # one with a docstring alone needs no sending
    return None


def _with_closure(found: _Found) -> Source:
    seen: dict[str, _Found] = {found.name: found}
    waiting = [found]
    while waiting:
        for name in _imports(waiting.pop().path):
            inner = _locate(name)
            if inner is not None and name not in seen and name not in _BUNDLED_NAMES:
                seen[name] = inner
                waiting.append(inner)
    del seen[found.name]
    return _read(found, tuple(_read(inner, ()) for inner in seen.values()))


_BUNDLED_NAMES = frozenset(f"shepherd.remote.{name}" for name in BUNDLED)


@functools.cache
def _read(found: _Found, closure: tuple[Source, ...]) -> Source:
    text = found.path.read_bytes()
    own = found.path.parent == modules_directory() or PACKAGE in found.path.parents
    return Source(
        name=found.name,
        path=str(found.path),
        file=_shown(found.path) if own else str(found.path),
        packed=zlib.compress(text, 6),
        digest=hashlib.sha256(text).hexdigest(),
        own=own,
        package=found.path.name == "__init__.py",
        closure=closure,
    )


def _shown(path: Path) -> str:
    for base in (PACKAGE, modules_directory()):
        if base in path.parents:
            return str(path.relative_to(base.parent))
    return str(path)


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """The dotted names under `shepherd.` that a file imports anywhere, their packages included."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise _no_python(path, error) from None
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in found:
            parts = name.split(".")
            if parts[0] == "shepherd":
                names.update(dict.fromkeys(".".join(parts[:end]) for end in range(2, len(parts) + 1)))
    return tuple(names)


def _no_python(path: Path, error: SyntaxError) -> ParseError:
    from shepherd.origin import Origin

    place = Origin(str(path), error.lineno or 0, error.offset or 0)
    return ParseError(f"the module is not valid Python: {error.msg}", origin=place)


def _slim(text: str) -> str:
    """`text` without its lines of comment alone: they cost bytes on every connection. Line numbers stay."""
    return re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE)
