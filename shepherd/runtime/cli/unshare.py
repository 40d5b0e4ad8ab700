"""`shepherd-runtime unshare COMMAND…`: a program in an ordinary user's namespace, to look after containers' files."""

import os
import sys

from shepherd.runtime.cli import several
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace

HELP = "run a program as root of an ordinary user's namespace"


def run(arguments: list) -> int:
    """The program's exit code; 127 where it is not there."""
    several.help_of(arguments, "unshare COMMAND…")
    if not user_namespace.of_user():
        raise RuntimeFailure("unshare is for ordinary users: this is root already")
    if not arguments:
        raise RuntimeFailure("unshare needs a command", "such as: unshare rm -r FOLDER")
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        sys.stderr.write("shepherd-runtime: %s: %s\n" % (arguments[0], error.strerror))
        return 127
