"""`run [OPTIONS] ID`: create, start, wait, delete."""

from shepherd.runtime.bundle import foreground
from shepherd.runtime.cli.oci import create, options

TABLE = dict(
    create.TABLE,
    **{
        "--detach": ("detach", bool),
        "-d": ("detach", bool),
        "--keep": ("keep", bool),
        "--no-subreaper": ("no_subreaper", bool),
    },
)


def run(chosen, words: list) -> int:
    """The verb: the exit code is the program's."""
    found = options.parse(words, TABLE, "run [OPTIONS] ID", 1, 1)
    return foreground.run(create.request(chosen, found), found.detach, found.keep)
