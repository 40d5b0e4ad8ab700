"""A lab host at the far end of a link, entered without SSH."""

import shlex

from far_end import Target

from shepherd.lab.enter import command_for


def target(host, tmp_path_factory):
    """A generator for a fixture `target` that replaces the usual one."""
    script = tmp_path_factory.mktemp("lab") / "python"
    words = shlex.join(command_for(host.lab, host.name, ["/usr/bin/python3"]))
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    found = Target(str(script))
    yield found
    found.close()
