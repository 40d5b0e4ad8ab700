"""Lookups in files of keys and values: ini, properties, CSV."""

from __future__ import annotations

import configparser
import csv
import io
import re
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError

if TYPE_CHECKING:
    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking

_INI = [
    "type",
    "file",
    "section",
    "re",
    "encoding",
    "default",
    "case_sensitive",
    "allow_no_value",
    "interpolation",
]  # as they may be written into the term
_CSV = ("file", "delimiter", "col", "default", "encoding", "keycol")


def ini(terms: list[Any], asking: Asking) -> list[Any]:
    found: list[Any] = []
    for term in terms:
        key, told = asking.written_in(str(term), _INI)
        parser, section = _parsed(told)
        if not parser.has_section(section):
            raise TemplateError(f"No section '{section}' in {told.text('file', 'ansible.ini')}")
        if told.flag("re"):
            pattern = re.compile(key)
            found += [value for name, value in parser.items(section) if pattern.match(name)]
            continue
        try:
            found.append(parser.get(section, key))
        except configparser.NoOptionError:
            default = told.get("default", "")
            found += default if isinstance(default, list) else [default]
    return found


def _parsed(asking: Asking) -> tuple[configparser.ConfigParser, str]:
    parser = configparser.ConfigParser(
        allow_no_value=asking.flag("allow_no_value"),
        interpolation=configparser.BasicInterpolation() if asking.flag("interpolation", True) else None,
    )
    if asking.flag("case_sensitive"):
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    section = asking.text("section", "global")
    with open(
        asking.find("files", asking.text("file", "ansible.ini")), encoding=asking.text("encoding", "utf-8")
    ) as handle:
        text = handle.read()
    if asking.text("type", "ini") == "properties":
        section = "java_properties"
        text = f"[{section}]\n{text}"
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise TemplateError(str(error)) from None
    return parser, section


def csvfile(terms: list[Any], asking: Asking) -> list[Any]:
    found: list[Any] = []
    for term in terms:
        key, told = asking.written_in(str(term), _CSV)
        delimiter = told.text("delimiter", "\t")
        delimiter = "\t" if delimiter == "TAB" else delimiter
        path = told.find("files", told.text("file", "ansible.csv"))
        with open(path, encoding=told.text("encoding", "utf-8"), newline="") as handle:
            text = handle.read()
        column, key_column = told.number("col", 1), told.number("keycol", 0)
        default = told.get("default")
        value = default
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            if len(row) > key_column and row[key_column] == key:
                if column >= len(row):
                    raise TemplateError(f"csvfile: the line of {key!r} has no column {column}")
                value = row[column]
                break
        if value is not None:
            found += value if isinstance(value, list) else [value]
    return found


LOOKUPS: dict[str, Lookup] = {"ini": ini, "csvfile": csvfile}
