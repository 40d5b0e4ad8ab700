"""Every playbook in playbooks/ on lab hosts: check mode says what happens, a second play changes nothing, and neither
does ansible-core after us."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.lab.session import LabSession

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
# The ones that need more of a host than SSH; verify.yml is played by site.yml.
ON_SYSTEMD = {"packages", "services"}
OURS = {"containers", "front", "stack"}  # modules that ansible-core does not have
EXAMPLES = sorted(path.stem for path in PLAYBOOKS.glob("*.yml") if path.stem != "verify")
END = """
command -v shepherd-runtime >/dev/null || exit 0
found=$(shepherd-runtime ps -aq)
[ -z "$found" ] || shepherd-runtime rm -f $found >/dev/null
"""
ORACLE = os.environ.get("SHEPHERD_ORACLE")

Changes = dict[tuple[str, str], list[bool]]  # (host, place and name of the task) → changed, of each item


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def containers_end(lab: LabSession) -> Iterator[None]:
    """They would go on, with their checks each second, beside all tests that follow."""
    yield
    for host in lab.hosts:
        host.exec(["sh", "-c", END])


@pytest.fixture
def inventory(example: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if example in OURS:
        request.getfixturevalue("containers_end")
    if example not in ON_SYSTEMD:
        yield request.getfixturevalue("lab").inventory
        return
    host = request.getfixturevalue("systemd_host")
    if example == "packages":  # a new host has no lists, and check mode, which comes first, fetches none
        host.exec(["apt-get", "update", "-qq"])
        host.exec(["rm", "-f", "/var/lib/man-db/auto-update"])  # or each package has all manual pages of the host read
    path = tmp_path / "inventory"
    path.write_text(f"{host.name} {' '.join(f'{name}={value!r}' for name, value in host.vars.items())}\n")
    yield path


def played(name: str, inventory: Path, temporary: Path, *words: str) -> list[dict[str, Any]]:
    """The events of one play of an example, which must go well."""
    command = [
        sys.executable,
        "-m",
        "shepherd",
        "play",
        f"{name}.yml",
        "-i",
        str(inventory),
        "--output",
        "json",
        *words,
    ]
    environment = {**os.environ, "TMPDIR": str(temporary), "XDG_CACHE_HOME": str(temporary / "cache")}
    done = warm.run(command, cwd=PLAYBOOKS, env=environment, capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr + "".join(map(told, events))
    return events


def told(event: dict[str, Any]) -> str:
    """A line about a failure, and nothing about other events."""
    if event["event"] != "HostResult" or event["status"] not in ("failed", "unreachable"):
        return ""
    return f"{event['host']}: {event['path']} {event['task']}: {json.dumps(event['result'])[:1000]}\n"


def changes(events: list[dict[str, Any]]) -> Changes:
    """What each task that ran has changed; one that was skipped, or was allowed to fail, says nothing."""
    found: Changes = {}
    for event in events:
        if event["event"] == "HostResult" and event["status"] in ("ok", "changed"):
            items = event["result"].get("results")
            results = items if isinstance(items, list) else [event["result"]]
            key = (event["host"], f"{event['path']} {event['task']}")
            found.setdefault(key, []).extend(result.get("changed", False) for result in results)
    return found


def changed(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [key for key, items in changes(events).items() if any(items)]


@pytest.mark.lab(hosts=3)
@pytest.mark.systemd
@pytest.mark.xdist_group("examples")
@pytest.mark.timeout(400)  # one fetches lists and packages from the mirrors, four times
def test_example(example: str, inventory: Path, tmp_path: Path) -> None:
    foretold = changes(played(example, inventory, tmp_path, "--check", "--diff"))
    first = changes(played(example, inventory, tmp_path))
    assert any(any(items) for items in first.values()), "the first play changes something"
    wrong = {key: (said, first[key]) for key, said in foretold.items() if key in first and first[key] != said}
    assert wrong == {}, "check mode said something else than what happened"
    assert changed(played(example, inventory, tmp_path)) == [], "the second play changed something"
    assert changed(played(example, inventory, tmp_path, "--check", "--diff")) == [], "check mode after it"


class Visitor(threading.Thread):
    """Asks nginx of the example for a page by its name, each time on a new connection, until `ending` is set."""

    def __init__(self, name: str, address: str, authority: Path) -> None:
        super().__init__(daemon=True)
        self.name, self.address = name, address
        self.context = ssl.create_default_context(cafile=str(authority))
        self.ending = threading.Event()
        self.pages: list[str] = []
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.ending.wait(0.01):
            try:
                self._ask()
            except (OSError, HTTPException) as error:
                self.failures.append(repr(error))

    def _ask(self) -> None:
        connection = HTTPSConnection(self.name, timeout=30, context=self.context)
        plain = socket.create_connection((self.address, 443), timeout=30)
        connection.sock = self.context.wrap_socket(plain, server_hostname=self.name)
        connection.request("GET", "/")
        answer = connection.getresponse()
        page = answer.read().decode()
        connection.close()
        if answer.status != 200:
            self.failures.append(f"{answer.status}: {page}")
        self.pages.append(page.partition(", from")[0])


@pytest.mark.lab(hosts=3)
@pytest.mark.xdist_group("examples")
@pytest.mark.usefixtures("containers_end")
@pytest.mark.timeout(120)  # images are made and sent where no other test has done it
def test_apps_change_behind_nginx_and_nobody_notices(lab: LabSession, tmp_path: Path) -> None:
    host = lab.hosts[0]
    one = ("-l", f"localhost,{host.name}")
    played("front", lab.inventory, tmp_path, *one)
    nginx = ["shepherd-runtime", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "front"]
    before = host.exec(nginx).stdout
    authority = tmp_path / "cache" / "shepherd" / "example-front" / "tls" / "ca.crt"
    visitors = [Visitor(name, host.address, authority) for name in ("shop.test", "blog.test")]
    for visitor in visitors:
        visitor.start()
    try:
        played("front", lab.inventory, tmp_path, *one, "-e", "release=2")
    finally:
        for visitor in visitors:
            visitor.ending.set()
        for visitor in visitors:
            visitor.join()
    for visitor, app in zip(visitors, ("shop", "blog"), strict=True):
        assert visitor.failures == []
        assert set(visitor.pages) == {f"{app}, release 1", f"{app}, release 2"}
    assert host.exec(nginx).stdout == before


@pytest.mark.timeout(600)  # ansible-core and packages, both slow
@pytest.mark.oracle
@pytest.mark.skipif(ORACLE is None, reason="SHEPHERD_ORACLE does not name a folder with ansible-playbook")
@pytest.mark.lab(hosts=3)
@pytest.mark.systemd
@pytest.mark.xdist_group("examples")
@pytest.mark.parametrize("example", [name for name in EXAMPLES if name not in OURS], indirect=True)
def test_ansible_core_finds_nothing_to_do(example: str, inventory: Path, tmp_path: Path) -> None:
    played(example, inventory, tmp_path)
    assert oracle_recap(example, inventory, tmp_path) == []


def oracle_recap(name: str, inventory: Path, temporary: Path) -> list[str]:
    """The lines of ansible-core's recap that tell of a change or a failure."""
    with tempfile.TemporaryDirectory() as home:  # short, since it holds the sockets of ssh, whose paths are limited
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=5s",
        }
        command = [f"{ORACLE}/ansible-playbook", f"{name}.yml", "-i", str(inventory)]
        done = subprocess.run(command, cwd=PLAYBOOKS, env=environment, capture_output=True, text=True)
    recap = done.stdout.partition("PLAY RECAP")[2].splitlines()[1:]
    assert any("ok=" in line for line in recap), done.stdout + done.stderr
    quiet = ("changed=0", "unreachable=0", "failed=0")
    bad = [line for line in recap if line.strip() and not all(word in line.split() for word in quiet)]
    return bad and [*bad, done.stdout]
