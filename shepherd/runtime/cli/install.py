"""`shepherd-runtime install [--prefix FOLDER]`: put this runtime and its command in place on this machine."""

from shepherd.runtime import single_file
from shepherd.runtime.errors import RuntimeFailure


def run(words: list) -> int:
    """Print the path of what was installed. What was installed before stays for what it started."""
    prefix = single_file.PREFIX
    if len(words) == 2 and words[0] == "--prefix":
        prefix = words[1]
    elif words:
        raise RuntimeFailure("install takes no %s" % words[0], "shepherd-runtime install [--prefix /usr/local]")
    print(single_file.install(prefix))
    return 0
