"""Commands inside a host without SSH, which also works where its sshd does not answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError
from shepherd.lab import content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shepherd.lab.state import Lab


def command_in(pid: int, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` beside process `pid`, in a clean environment."""
    environment = {**content.ENVIRONMENT, "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash"}
    if "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]
    settings = [f"{name}={value}" for name, value in environment.items()]
    return [
        *("nsenter", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--root"),
        *("--", "env", "-i", "--chdir=/root", *settings, *command),
    ]


def command_for(lab: Lab, host: str, command: Sequence[str]) -> list[str]:
    """The same by the host's name. Raises ShepherdError where it does not run."""
    pid = lab.process(host)
    if pid is None:
        names = " ".join(known.name for known in lab.hosts)
        raise ShepherdError(f"no host {host!r} runs in lab {lab.name!r}", hint=f"its hosts are: {names}")
    return command_in(pid, command)


def ssh_for(lab: Lab, host: str) -> list[str]:
    """The command line of a real SSH session as root."""
    found = lab.host(host)
    if found is None:
        names = " ".join(known.name for known in lab.hosts)
        raise ShepherdError(f"there is no host {host!r} in lab {lab.name!r}", hint=f"its hosts are: {names}")
    options = {"UserKnownHostsFile": lab.known_hosts, "IdentitiesOnly": "yes", "IdentityAgent": "none"}
    settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", *settings, "-i", str(lab.key), "-p", str(found.port), f"root@{found.address}"]
