"""Commands inside a host without SSH, which also works where its sshd does not answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.errors import ShepherdError
from shepherd.lab import content
from shepherd.runtime.linux import cgroups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shepherd.lab.state import Lab


def command_in(pid: int, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` beside process `pid`, in a clean environment."""
    environment = {**content.ENVIRONMENT, "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash"}
    if "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]
    settings = [f"{name}={value}" for name, value in environment.items()]
    group = _group_of(pid)
    # nsenter has an option for that since util-linux 2.39
    joined = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group] if group else []
    return [
        *(*joined, "nsenter", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--root"),
        *(["--cgroup"] if group else []),
        *("--", "env", "-i", "--chdir=/root", *settings, *command),
    ]


def _group_of(pid: int) -> str:
    """The folder of the process's control group where version 2 alone is there, else "".

    What is in none of the host's groups cannot be moved to another one of them by those inside (ENOENT, "nsdelegate" in
    cgroup-v2.rst): its systemd would make no scopes, its runtime no containers.
    """
    found = cgroups.hierarchies()
    if [kind for _target, kind, _names in found] != ["cgroup2"]:
        return ""
    try:
        places = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return ""  # it has ended, as nsenter will say
    return str(found[0][0]) + next(line[3:] for line in places if line.startswith("0::"))


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
