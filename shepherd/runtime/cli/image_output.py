"""How images are shown: tables, JSON and templates, with nothing of theirs that a terminal would obey."""

import json
import re
import sys
import time

from shepherd.runtime.containers import clock
from shepherd.runtime.errors import RuntimeFailure

_FIELD = re.compile(r"\{\{ *(json +)?\.([A-Za-z]*) *\}\}")
_UNITS = ("B", "kB", "MB", "GB", "TB")
_AGES = ((31536000, "year"), (2592000, "month"), (604800, "week"), (86400, "day"), (3600, "hour"), (60, "minute"))


def printable(text) -> str:
    """Foreign text without control characters."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


def size(count) -> str:
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return "%.3g%s" % (value, _UNITS[unit])


def age(text, now=None) -> str:
    """`3 days ago` of an RFC 3339 time; empty where there is none."""
    try:
        seconds = clock.seconds_of(str(text))
    except (ValueError, OverflowError):
        return "N/A"
    passed = max(0, (time.time() if now is None else now) - seconds)
    for length, name in _AGES:
        if passed >= length:
            count = int(passed // length)
            return "%d %s%s ago" % (count, name, "" if count == 1 else "s")
    return "%d seconds ago" % passed


def show(rows, columns, form=None, quiet=None) -> None:
    """Print the `rows` (dictionaries). `columns`: (heading, key) of a table; `form`: "json" or a template with
    {{.Key}}; `quiet`: the one key to print."""
    write = sys.stdout.write
    if quiet is not None:
        for row in rows:
            write(printable(row[quiet]) + "\n")
    elif form == "json":
        for row in rows:
            write(json.dumps(row) + "\n")
    elif form and form != "table":
        for row in rows:
            write(fill(form, row) + "\n")
    else:
        table = [[heading for heading, _ in columns]]
        table += [[printable(row[key]) for _, key in columns] for row in rows]
        widths = [max(len(line[number]) for line in table) for number in range(len(columns))]
        for line in table:
            write("   ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() + "\n")


def fill(template, row) -> str:
    """A template of Docker's kind: {{.Key}} and {{json .Key}}; {{json .}} is all of it."""

    def value(found):
        found_json, key = found.groups()
        if not key and found_json:
            return json.dumps(row)
        if key not in row:
            raise RuntimeFailure(
                "no such field in --format: %s" % printable(key), "one of: %s" % ", ".join(sorted(row))
            )
        return json.dumps(row[key]) if found_json else printable(row[key])

    return _FIELD.sub(value, template.replace("\\t", "\t").replace("\\n", "\n"))
