"""Plays run by the real command on lab hosts, and what is left of them there."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests import command

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from shepherd.lab.session import LabHost, LabSession

PATIENCE = 20  # seconds until a thing that must happen has happened


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def results(self, host: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "HostResult" and event["host"] == host]

    def last(self, host: str) -> dict[str, Any]:
        return self.results(host)[-1]


class Fleet:
    """Two hosts of the lab, whose variables a test may spoil, and a folder for playbook and inventory."""

    def __init__(self, lab: LabSession, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.settings: dict[str, str] = {}  # environment variables of ours
        self.first, self.second = lab.hosts[0], lab.hosts[1]
        self.vars: dict[str, dict[str, Any]] = {host.name: dict(host.vars) for host in (self.first, self.second)}

    def words(self, playbook: list[Any], *flags: str) -> list[str]:
        """The words of the command; files for it are written."""
        inventory = {"all": {"hosts": self.vars}}
        (self.folder / "hosts.yml").write_text(json.dumps(inventory))
        (self.folder / "play.yml").write_text(json.dumps(playbook))
        return ["play", "play.yml", "-i", "hosts.yml", *flags]

    @property
    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **self.settings}

    def play(self, playbook: list[Any], *flags: str) -> Done:
        """Run it to its end, with JSON lines unless an --output is asked for."""
        with self.started(playbook, *flags) as process:
            out, err = process.communicate(timeout=60)
        return Done(process.returncode, out, err)

    @contextlib.contextmanager
    def started(self, playbook: list[Any], *flags: str) -> Iterator[subprocess.Popen[str]]:
        """Start it; it is ended with the block, whatever happens there."""
        form = [] if "--output" in flags else ["--output", "json"]
        words = self.words(playbook, *form, *flags)
        with command.started(words, self.folder, self._environment) as process:
            yield process


def finish(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


def tasks(*listed: Any, **keywords: Any) -> list[Any]:
    """A playbook of one play."""
    return [{"hosts": "all", "gather_facts": False, "tasks": list(listed), **keywords}]


def eventually(holds: Callable[[], Any]) -> bool:
    """Whether it comes to hold in good time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def running(host: LabHost, pattern: str) -> list[str]:
    """The processes in the host whose command line matches, by number."""
    return host.exec(["pgrep", "-f", pattern], check=False).stdout.split()


def helpers(host: LabHost) -> list[str]:
    """What runs there of ours, and the sessions that we have."""
    return running(host, r"sshd: .*(notty|priv)|sshd-session: .*notty|shepherd[:.]")


def cut(host: LabHost) -> None:
    """End every SSH session in the host, as a network that is gone would, only at once."""
    sessions = running(host, r"sshd(-session)?: .*@notty")
    assert sessions
    host.exec(["kill", "-9", *sessions])
