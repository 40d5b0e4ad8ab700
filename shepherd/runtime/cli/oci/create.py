"""`create [OPTIONS] ID`: make a container from a bundle, up to but without its program."""

import os

from shepherd.runtime.bundle import config, create
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options

TABLE = {
    "--bundle": ("bundle", str),
    "-b": ("bundle", str),
    "--console-socket": ("console_socket", str),
    "--pid-file": ("pid_file", str),
    "--no-pivot": ("no_pivot", bool),
    "--no-new-keyring": ("no_new_keyring", bool),
    "--preserve-fds": ("preserve_fds", int),
    "--pidfd-socket": ("pidfd_socket", str),
}


def run(chosen, words: list) -> int:
    """The verb."""
    found = options.parse(words, TABLE, "create [OPTIONS] ID", 1, 1)
    with create.create(request(chosen, found)):
        return 0


def request(chosen, found) -> create.Request:
    """What the options ask for."""
    bundle = os.path.abspath(found.bundle or ".")
    asked = create.Request(oci.root(chosen), found.rest[0], bundle, config.load(bundle))
    asked.pid_file = found.pid_file
    asked.console_socket = found.console_socket
    asked.no_pivot = found.no_pivot
    asked.preserved = found.preserve_fds or 0
    asked.systemd = chosen.systemd
    return asked
