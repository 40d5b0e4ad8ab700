"""Lookups that find and read files of the controller."""

# ruff: noqa: PTH112, PTH113, PTH207 -- lookups take and give names of files as text
from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError
from shepherd.templating.files import TemplateOptions
from shepherd.templating.lookups.asking import Asking, truth
from shepherd.templating.native import Verbatim
from shepherd.templating.search import MissingFileError, candidates
from shepherd.templating.turns import apart

if TYPE_CHECKING:
    from shepherd.templating.lookups import Lookup


def _text(path: str) -> str:
    def read() -> str:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as handle:
            return handle.read()

    return read() if os.path.isfile(path) else apart(read)  # a named pipe waits for whoever writes to it


def file(terms: list[Any], asking: Asking) -> list[Any]:
    found = []
    for term in terms:
        text = _text(asking.find("files", term))
        if asking.flag("rstrip", True):
            text = text.rstrip()
        if asking.flag("lstrip"):
            text = text.lstrip()
        found.append(text)
    return found


def unvault(terms: list[Any], asking: Asking) -> list[Any]:
    found = [_text(asking.find("files", term)) for term in terms]
    if any(text.startswith("$ANSIBLE_VAULT") for text in found):
        raise TemplateError("files encrypted with Ansible Vault are not supported yet")
    return found


_SYNTAX = tuple(f"{part}_{side}_string" for part in ("variable", "comment", "block") for side in ("start", "end"))


def template(terms: list[Any], asking: Asking) -> list[Any]:
    """Template files rendered; a text that spells a list or mapping becomes one unless `convert_data` is false."""
    asking.known({*_SYNTAX, "convert_data", "template_vars", "jinja2_native", "trim_blocks", "lstrip_blocks"})
    if asking.flag("jinja2_native"):
        raise TemplateError("jinja2_native is not supported")
    changes = {name: asking.text(name) for name in _SYNTAX if asking.get(name) is not None}
    found = []
    for term in terms:
        path = asking.find("templates", term)
        options = TemplateOptions(
            name=term,
            convert=asking.flag("convert_data", True),
            variables=asking.get("template_vars"),
            **changes,  # type: ignore[arg-type]  # texts all
        )
        text = asking.scope.templates.render_file(path, asking.scope, options=options)
        found.append(text if options.convert else Verbatim(text))
    return found


def fileglob(terms: list[Any], asking: Asking) -> list[Any]:
    """Files (no directories) that match patterns; the patterns' directories are looked for as files are."""
    found: list[str] = []
    for term in terms:
        folder, pattern = os.path.split(str(term))
        places = candidates("files", folder, asking.search_path) if folder else _files_places(asking)
        for place in places:
            matched = sorted(filter(os.path.isfile, glob.glob(os.path.join(glob.escape(place), pattern))))
            if matched:
                found += map(os.path.normpath, matched)
                break
            if folder and os.path.isdir(place):
                break
    return found


def _files_places(asking: Asking) -> list[str]:
    return [place for each in asking.search_path for place in (os.path.join(each, "files"), each)]


def first_found(terms: list[Any], asking: Asking) -> list[Any]:
    """The first file that exists of names, or of names in `paths`; none with `skip`, else an error."""
    names, skip = _wanted(terms, asking.options)
    for name in names:
        try:
            return [asking.find(asking.directory, name)]
        except MissingFileError:
            continue
    if skip or asking.flag("skip"):
        return []
    raise MissingFileError("No file was found when using first_found.", hint=f"looked for {', '.join(names)}")


def _wanted(terms: Any, options: Mapping[str, Any]) -> tuple[list[str], bool]:
    names: list[str] = []
    skip = False
    if options.get("files"):
        terms = [{"files": options["files"], "paths": options.get("paths")}, *terms]
    elif options.get("paths"):
        terms = [{"files": terms, "paths": options["paths"]}]
    for term in terms:
        if isinstance(term, Mapping):
            files, paths = _split(term.get("files"), ",;"), _split(term.get("paths"), ",;:")
            skip = skip or truth(term.get("skip", False))
            names += [os.path.join(path, each) for path in paths for each in files] if paths else files
        elif isinstance(term, str):
            names += _split(term, ",;")
        elif isinstance(term, (list, tuple)):
            inner, inner_skip = _wanted(term, {})
            names += inner
            skip = skip or inner_skip
        else:
            raise TemplateError(
                f"Invalid term supplied, can handle string, mapping or list of strings but got: {term!r}"
            )
    return names, skip


def _split(value: Any, separators: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [part for part in re.split(f"[{separators}]", value) if part]
    return [part for each in value for part in _split(each, separators)]


LOOKUPS: dict[str, Lookup] = {
    "file": file,
    "unvault": unvault,
    "template": template,
    "fileglob": fileglob,
    "first_found": first_found,
}
