"""`shepherd-runtime install [--prefix FOLDER]`: put this runtime and its command in place on this machine."""

from shepherd.runtime import single_file
from shepherd.runtime.cli import several

HELP = "put this runtime and its command in place on this machine"


def run(words: list) -> int:
    """Print the path of what was installed. What was installed before stays for what it started."""
    options = several.parse(words, {"--prefix": ("prefix", str)}, "install [--prefix FOLDER]", 0, 0)
    print(single_file.install(options.prefix or single_file.PREFIX))
    return 0
