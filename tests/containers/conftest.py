"""Plays of the container modules by the real command, on hosts of the lab that are clean before and after."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  # a dataclass needs it
from typing import TYPE_CHECKING, Any

import images
import pytest
from registry import Handler, Registry

from tests import warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.lab.session import LabHost, LabSession


# everything but the runtime, whose installation takes longer than most tests; one process for all of it
CLEAR = """
import contextlib, io, os, sys
link = "/usr/local/bin/shepherd-runtime"
if not os.path.exists(link):
    sys.exit()
sys.path.insert(0, os.path.dirname(os.path.realpath(link)))
from shepherd.runtime.cli import main
def said(*words):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        if main(list(words)):
            sys.exit(1)
    return out.getvalue().split()
def clear(listed, removed, kept=()):
    found = [one for one in said(*listed) if one not in kept]
    if found:
        said(*removed, *found)
clear(["ps", "-aq"], ["rm", "-fv"])
clear(["volume", "ls", "-q"], ["volume", "rm"])
clear(["network", "ls", "--format", "{{.Name}}"], ["network", "rm"], ["bridge", "host", "none"])
clear(["images", "-q"], ["rmi", "-f"])
"""


@dataclass
class Played:
    """What became of a play. `tasks` are the results by the name of their task and host."""

    code: int
    text: str
    tasks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def result(self, task: str, host: str = "web1") -> dict[str, Any]:
        return self.tasks[task, host]

    @property
    def changed(self) -> set[str]:
        return {task for (task, _host), result in self.tasks.items() if result.get("changed")}


class Site:
    """A folder with a playbook, and lab hosts to play it on."""

    def __init__(self, hosts: list[LabHost], folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.host = hosts[0]
        inventory = {"all": {"hosts": {host.name: host.vars for host in hosts}}}
        (folder / "hosts.yml").write_text(json.dumps(inventory))

    def command(self, tasks: list[dict[str, Any]], *flags: str) -> list[str]:
        play = {"hosts": "all", "gather_facts": False, "tasks": tasks}
        (self.folder / "play.yml").write_text(json.dumps([play]))
        return [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", "hosts.yml", *flags]

    def shepherd(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Another verb, with the inventory."""
        command = [sys.executable, "-m", "shepherd", words[0], "-i", "hosts.yml", *words[1:]]
        return warm.run(
            command,
            cwd=self.folder,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}

    def play(self, tasks: list[dict[str, Any]], *flags: str, host: str | None = None) -> Played:
        """Play the tasks. Each is {"module": {options}, …}, and is called by its module unless it has a name."""
        named = [{"name": next(iter(task)), **task} for task in tasks]
        words = self.command(named, "--output", "json", *flags, *(["-l", host] if host else []))
        done = warm.run(
            words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        played = Played(done.returncode, done.stdout + done.stderr)
        for line in done.stdout.splitlines():
            event = json.loads(line)
            if event["event"] == "HostResult":
                played.tasks[event["task"], event["host"]] = event["result"]
        return played

    def good(self, tasks: list[dict[str, Any]], *flags: str, host: str | None = None) -> Played:
        played = self.play(tasks, *flags, host=host)
        assert played.code == 0, played.text
        return played

    def runtime(self, *words: str, host: LabHost | None = None) -> str:
        """What the runtime's command says on a host."""
        return (host or self.host).exec(["shepherd-runtime", *words]).stdout

    def state(self) -> str:
        """All that is there of containers, images, volumes and networks, and when it was changed."""
        script = (
            "find /var/lib/shepherd /usr/local/lib/shepherd /usr/local/bin/shepherd-runtime -printf '%p %T@ %s\\n'"
            " 2>/dev/null | grep -v '/leases\\|/lock' | sort; ls /run/shepherd 2>/dev/null; true"
        )
        return self.host.exec(["sh", "-c", script]).stdout


@pytest.fixture
def site(lab: LabSession, tmp_path: Path) -> Iterator[Site]:
    yield from _site(lab.hosts[:2], tmp_path, keep_runtime=True)


@pytest.fixture
def wide_site(lab: LabSession, tmp_path: Path) -> Iterator[Site]:
    """All hosts of a lab of three."""
    yield from _site(lab.hosts[:3], tmp_path, keep_runtime=True)


@pytest.fixture(scope="module")
def shared_site(lab: LabSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that only look: what one of them needs is there for all of a file."""
    hosts, folder = lab.hosts[:3], tmp_path_factory.mktemp("site")
    _nothing_left(Site(hosts, folder))
    yield from _site(hosts, folder)


@pytest.fixture
def systemd_site(systemd_host: LabHost, tmp_path: Path) -> Iterator[Site]:
    """A host whose services are real."""
    yield from _site([systemd_host], tmp_path)


def _site(hosts: list[LabHost], folder: Path, *, keep_runtime: bool = False) -> Iterator[Site]:
    if not images.BUSYBOX.exists():
        pytest.skip("busybox is not installed")
    found = Site(hosts, folder)
    try:
        yield found
    finally:
        if keep_runtime:
            for host in hosts:
                host.exec(["/usr/bin/python3", "-I", "-S", "-c", CLEAR])
        else:
            _nothing_left(found)


def _nothing_left(site: Site) -> None:
    ended = site.play([{"container_runtime": {"state": "absent", "force": True, "purge": True}}])
    assert ended.code == 0, ended.text


@pytest.fixture
def bare(site: Site) -> None:
    """Hosts on which the runtime is not there either."""
    _nothing_left(site)


@pytest.fixture
def app(site: Site) -> dict[str, Any]:
    """The task that brings the image `app:1`."""
    images.save(site.folder / "app.tar", images.base())
    return {"container_image": {"name": "app:1", "archive": "app.tar"}}


@pytest.fixture
def registry(lab: LabSession) -> Iterator[Registry]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.connect((lab.hosts[0].address, 9))
        address = end.getsockname()[0]
    server = Registry((address, 0), Handler)
    server.blobs, server.tags, server.asked = {}, {}, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
