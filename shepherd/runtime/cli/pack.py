"""`shepherd-runtime pack FILE`: this runtime as one file that runs on other machines."""

from shepherd.runtime import single_file
from shepherd.runtime.errors import RuntimeFailure


def run(words: list) -> int:
    """Write the file; where it is run, `install` puts it in place."""
    if len(words) != 1 or words[0].startswith("-"):
        raise RuntimeFailure("pack takes the name of a file", "shepherd-runtime pack shepherd-runtime.pyz")
    single_file.write(words[0], single_file.content(single_file.sources()))
    return 0
