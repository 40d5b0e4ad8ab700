"""Rows as Docker's verbs show them: a table, JSON, or a template of fields."""

import sys

from shepherd.runtime.cli import image_output


def show(rows: list, columns: list, form=None, quiet=None) -> None:
    """`columns`: (heading, key). `form`: table, json, a template such as {{.Names}}, or `table TEMPLATE`."""
    if form and form.startswith("table ") and form[6:].strip():
        template = form[6:]
        headings = {key: heading for heading, key in columns}
        names = {key: headings.get(key, key.upper()) for key in (rows[0] if rows else headings)}
        lines = [image_output.fill(template, names)] + [image_output.fill(template, row) for row in rows]
        cells = [line.split("\t") for line in lines]
        count = max(len(line) for line in cells)
        widths = [max(len(line[number]) for line in cells if number < len(line)) for number in range(count)]
        for line in cells:
            sys.stdout.write("   ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() + "\n")
        return
    image_output.show(rows, columns, form, quiet)


def field(template: str, value) -> str:
    """A template of `inspect --format`: {{.State.Status}}, {{json .Config}}, {{index .Config.Labels "x"}}, and text."""
    import json
    import re

    from shepherd.runtime.errors import RuntimeFailure

    def look(path, found):
        for name in [part for part in path.split(".") if part]:
            if not isinstance(found, dict) or name not in found:
                raise RuntimeFailure("--format: there is no field .%.100s" % path.lstrip("."))
            found = found[name]
        return found

    def text(found):
        if isinstance(found, bool):
            return "true" if found else "false"
        if found is None:
            return "<no value>"
        if isinstance(found, list):
            return "[%s]" % " ".join(text(one) for one in found)
        if isinstance(found, dict):
            return "map[%s]" % " ".join("%s:%s" % (key, text(found[key])) for key in sorted(found))
        return image_output.printable(found)

    def one(match):
        words = match.group(1).strip()
        as_json = words.startswith("json ")
        words = words[5:].strip() if as_json else words
        indexed = re.match(r'index (\.[\w.]*) "([^"]*)"\Z', words)
        if indexed:
            found = (look(indexed.group(1), value) or {}).get(indexed.group(2), "")
        elif re.match(r"\.[\w.]*\Z", words):
            found = look(words, value)
        else:
            raise RuntimeFailure("--format: %.100r is more than a field" % match.group(0), "json, and another program")
        return json.dumps(found) if as_json else text(found)

    return re.sub(r"\{\{(.*?)\}\}", one, template.replace("\\t", "\t").replace("\\n", "\n"))
