"""One Compose file: read, its variables replaced, every field checked, what it extends and includes taken in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shepherd.compose import environment, resource, shape, yaml_file
from shepherd.compose.interpolation import interpolate
from shepherd.compose.merging import merge
from shepherd.compose.service import Extends, service
from shepherd.compose.where import Faults, Where
from shepherd.compose.yaml_file import Override, Reset
from shepherd.errors import nearest
from shepherd.origin import Mapping, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping as Lookup

PARTS = ("services", *resource.KINDS)


@dataclass(frozen=True)
class _Include:
    paths: list[str]
    folder: str | None
    env_files: list[str] | None
    where: Where


_INCLUDE = shape.fields({"path": shape.strings, "project_directory": shape.word, "env_file": shape.strings})


def _include(value: Any, where: Where) -> _Include:
    found: Any = _INCLUDE(value, where) if isinstance(value, dict) else {"path": [shape.word(value, where)]}
    if not found.get("path"):
        raise where.error("should say its `path`")

    def path(word: str) -> str:
        return os.path.abspath(os.path.join(where.folder, word))

    folder = path(found["project_directory"]) if "project_directory" in found else None
    env_files = [path(word) for word in found["env_file"]] if "env_file" in found else None
    return _Include([path(word) for word in found["path"]], folder, env_files, where)


_TOP = shape.fields(
    {
        "version": lambda _value, _where: None,  # once said which fields there are
        "name": shape.word,
        "include": shape.listed(_include),
        "services": shape.mapped(service),
        "models": shape.unsupported(),
        **resource.KINDS,
    }
)


@dataclass
class Reading:
    """What all files of a project share. `path` are the files that include or extend one another down to here."""

    warnings: list[str]
    path: tuple[Any, ...] = ()
    known: dict[tuple[str, str], Mapping] = field(default_factory=dict)

    def within(self, what: Any, where: Where) -> Reading:
        if what in self.path:
            circle = (*self.path[self.path.index(what) :], what)
            shown = " → ".join(one if isinstance(one, str) else " and ".join(one) for one in circle)
            raise where.error(f"goes round in circles: {shown}")
        return Reading(self.warnings, (*self.path, what), self.known)


def files(paths: list[str], folder: str, variables: Lookup[str, str], reading: Reading) -> Mapping:
    """Several files, each on top of the ones before."""
    made, faults = Mapping(), Faults()
    for path in paths:
        with faults:
            made = merge(made, _file(path, folder, variables, reading))
    faults.tell()
    return made


def _file(path: str, folder: str, variables: Lookup[str, str], reading: Reading) -> Mapping:
    found = _read(path, folder, variables, reading)
    services = found.get("services", Mapping())
    where = Where("services", Origin(path), folder, reading.warnings)
    faults = Faults()
    for name in list(services):
        if not isinstance(services[name], Reset):
            with faults:
                services[name] = _extended(str(name), services, path, variables, reading, where)
    for one in found.pop("include", ()):
        with faults:
            _take_in(found, one, variables, reading)
    faults.tell()
    return found


def _read(path: str, folder: str, variables: Lookup[str, str], reading: Reading) -> Mapping:
    """A file's own content, as it stands; kept, since other services may extend it, too."""
    if (path, folder) not in reading.known:
        where = Where("", Origin(path), folder, reading.warnings)
        content = yaml_file.read(path)
        if content is None:
            raise where.error("has nothing in it")
        where = replace(where, origin=getattr(content, "origin", where.origin))
        faults, fields = Faults(), Faults()
        content = interpolate(content, variables, where, faults)
        with fields:
            reading.known[path, folder] = _TOP(content, where)
        places = {error.origin for error in faults.found}
        faults.found += [error for error in fields.found if error.origin not in places]
        faults.tell()
    found = reading.known[path, folder]
    return Mapping((key, Mapping(value) if isinstance(value, dict) else value) for key, value in found.items())


# extends


def _extended(
    name: str, services: Mapping, path: str, variables: Lookup[str, str], reading: Reading, where: Where
) -> Any:
    """The service on top of what it extends."""
    own = services[name]
    if isinstance(own, Override):
        return own
    said: Extends | None = own.get("extends")
    if said is None:
        return own
    place = Where(f"services.{name}.extends", said.origin, where.folder, reading.warnings)
    inner = reading.within(f"{os.path.basename(path)}:{name}", place)
    other, others, folder = path, services, where.folder
    if said.file is not None:
        other, folder = said.file, os.path.dirname(said.file)
        if not os.path.isfile(other):
            raise place.error(f"there is no file {other}")
        others = _read(other, folder, variables, reading).get("services", Mapping())
    if said.service not in others or isinstance(others[said.service], Reset):
        raise place.error(f"there is no service {said.service} in {other}", nearest(said.service, map(str, others)))
    base = _extended(said.service, others, other, variables, inner, Where("services", None, folder, reading.warnings))
    kept = Mapping((key, value) for key, value in own.items() if key != "extends")
    if hasattr(own, "origin"):
        kept.origin = own.origin
    return merge(base, kept)


# include


def _take_in(found: Mapping, one: _Include, variables: Lookup[str, str], reading: Reading) -> None:
    for path in one.paths:
        if not os.path.isfile(path):
            raise one.where.error(f"there is no file {path}")
    folder = one.folder or os.path.dirname(one.paths[0])
    if one.env_files is None:
        variables = environment.beside(folder, variables)
    else:
        for path in one.env_files:
            values = environment.read(path, variables)
            variables = {**{name: value for name, value in values.items() if value is not None}, **variables}
    inner = files(one.paths, folder, variables, reading.within(tuple(one.paths), one.where))
    for part in PARTS:
        mine = found.setdefault(part, Mapping())
        for name, value in inner.get(part, {}).items():
            if name in mine and mine[name] != value:
                raise one.where.error(f"the {part[:-1]} {name} is there already, and another one")
            mine[name] = value
