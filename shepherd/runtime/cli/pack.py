"""`shepherd-runtime pack FILE`: this runtime as one file that runs on other machines."""

from shepherd.runtime import single_file
from shepherd.runtime.cli import several

HELP = "write this runtime as one file, which runs on other machines and installs itself there"


def run(words: list) -> int:
    """Write the file; where it is run, `install` puts it in place."""
    options = several.parse(words, {}, "pack FILE", 1, 1)
    single_file.write(options.rest[0], single_file.content(single_file.sources()))
    return 0
