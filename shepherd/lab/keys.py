"""Key pairs, by ssh-keygen: for the lab, and one for each host."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make(paths: dict[Path, str]) -> None:
    """Make an ed25519 key pair without passphrase at each path (and path.pub) with its comment; all at once."""
    commands = []
    for path, comment in paths.items():
        if not _public_file(path).exists():
            path.unlink(missing_ok=True)  # half of a pair
            commands.append(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    started = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in commands]
    for process, command in zip(started, commands, strict=True):
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)


def public(path: Path) -> str:
    """The public half, as in known_hosts: kind and key without the comment."""
    return " ".join(_public_file(path).read_text().split()[:2])


def _public_file(path: Path) -> Path:
    return path.with_name(path.name + ".pub")
