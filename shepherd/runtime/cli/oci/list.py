"""`list [--format table|json] [--quiet]`: all containers of the root."""

import sys

from shepherd.runtime.bundle import document, state
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

TABLE = {"--format": ("format", str), "-f": ("format", str), "--quiet": ("quiet", bool), "-q": ("quiet", bool)}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "list [--format table|json] [--quiet]", 0, 0)
    if found.format not in (None, "table", "json"):
        raise RuntimeFailure("--format: should be table or json")
    root = oci.root(chosen)
    state.sweep(root)
    rows = []
    for name in state.names(root):
        try:
            container = state.find(root, name)
        except RuntimeFailure:
            continue  # deleted meanwhile
        shown = container.public()
        shown.setdefault("pid", 0)
        shown.update(created=container.record["created"], owner=str(container.record["owner"]))
        rows.append(shown)
    if found.quiet:
        sys.stdout.write("".join(row["id"] + "\n" for row in rows))
    elif found.format == "json":
        sys.stdout.write(document.dumps(rows) + "\n")
    else:
        head = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
        table = [head] + [[str(row[name.lower()]) for name in head] for row in rows]
        widths = [max(len(line[column]) for line in table) for column in range(len(head))]
        for line in table:
            text = "   ".join(cell.ljust(width) for cell, width in zip(line, widths))
            sys.stdout.write(text.rstrip() + "\n")
    return 0
