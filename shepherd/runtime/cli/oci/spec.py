"""`spec [--bundle FOLDER] [--rootless]`: write a config.json to begin with."""

import os

from shepherd.runtime.bundle import document, template
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

TABLE = {"--bundle": ("bundle", str), "-b": ("bundle", str), "--rootless": ("rootless", bool)}


def run(_chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "spec [--bundle FOLDER] [--rootless]", 0, 0)
    path = os.path.join(found.bundle or ".", "config.json")
    config = template.rootless() if found.rootless else template.config()
    try:
        with open(path, "x") as file:
            file.write(document.indented(config) + "\n")
    except FileExistsError:
        raise RuntimeFailure("%s exists" % path) from None
    return 0
