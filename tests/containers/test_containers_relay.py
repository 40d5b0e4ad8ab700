"""Hosts give images to one another: what goes over the controller's links, who is let in, and what is left behind."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any

import images
import pytest

from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.lab(hosts=3)

LARGE = 8 << 20  # bytes of the layer
SMALL = 1 << 20  # what goes to a host that gets it from another: sources of modules, a runtime's answer
PATIENCE = seconds(30)
TASK = {"container_image": {"name": "app:1", "archive": "app.tar", "relay": True}}
STORE = "/var/lib/shepherd"

# Counts what is written to each connection, and notes what hosts are told; with HOLD, who should fetch never does
WATCHING = """\
import asyncio, json, os
from shepherd.actions import _relaying
from shepherd.link import Link
from shepherd.transport.ssh_pipe import SshPipe
write, run, init = SshPipe.write, Link.run, Link.__init__
def note(*what):
    with open(os.environ["WATCHED"], "a") as file:
        file.write(json.dumps(what) + "\\n")
async def written(self, data):
    note("written", id(self), len(data))
    return await write(self, data)
def made(self, pipe, host, *more):
    note("link", id(pipe), host)
    init(self, pipe, host, *more)
async def running(self, module, args, **options):
    for kind in ("_serve", "_peer"):
        if args.get(kind):
            note(kind, self.host, args[kind])
            if kind == "_peer" and "HOLD" in os.environ:
                await asyncio.sleep(3600)
    return await run(self, module, args, **options)
SshPipe.write, Link.run, Link.__init__ = written, running, made
_relaying.PATIENCE *= float(os.environ.get("SHEPHERD_PATIENCE", "1"))
"""


class Watched:
    """A play whose connections are looked at."""

    def __init__(self, site: Any, *flags: str, **environment: str) -> None:
        (site.folder / "sitecustomize.py").write_text(WATCHING)
        self.log = site.folder / "watched.log"
        self.log.write_text("")
        self.process = subprocess.Popen(
            site.command([TASK], "--output", "json", *flags),
            cwd=site.folder,
            env={**site.environment, "PYTHONPATH": str(site.folder), "WATCHED": str(self.log), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> dict[str, dict[str, Any]]:
        """The results by host."""
        self.said = self.process.communicate()[0]
        assert self.process.returncode == 0, self.said
        events = [json.loads(line) for line in self.said.splitlines()]
        return {one["host"]: one["result"] for one in events if one["event"] == "HostResult"}

    @property
    def notes(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def told(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [(note[1], note[2]) for note in self.notes if note[0] == kind]

    def written(self) -> dict[str, int]:
        """Bytes to each host."""
        hosts = {note[1]: note[2] for note in self.notes if note[0] == "link"}
        found = dict.fromkeys(hosts.values(), 0)
        for note in self.notes:
            if note[0] == "written":
                found[hosts[note[1]]] += note[2]
        return found


@pytest.fixture
def site(wide_site):
    layers = images.save(
        wide_site.folder / "app.tar", images.base(), images.layer({"large": (os.urandom(LARGE), 0o644)})
    )
    wide_site.layers = layers
    wide_site.good([{"container_runtime": {}}])
    for host in wide_site.hosts:
        host.exec(["mkdir", "-p", f"{STORE}/leases", f"{STORE}/staging"])
    # once the helpers of that play are gone: counted among what was there, they would be missed later
    wait_until(lambda: all("\n0\n" in one for one in traces(wide_site)))
    wide_site.before = traces(wide_site)
    return wide_site


def same_everywhere(site: Any) -> None:
    """Every host has the image, byte for byte, and it runs."""
    blobs = " ".join(f"{STORE}/blobs/{layer.replace(':', '/')}" for layer in site.layers)
    for host in site.hosts:
        told = host.exec(["sh", "-c", f"sha256sum {blobs}"]).stdout.split()[::2]
        assert [f"sha256:{one}" for one in told] == site.layers
    assert site.runtime("run", "--rm", "app:1", "stat", "-c", "%s", "/large", host=site.hosts[-1]) == f"{LARGE}\n"


def traces(site: Any) -> list[str]:
    """On each host: ports that are listened at, processes of Pythons, and what the store has that is not done."""
    script = (
        "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == \"0A\" {print $2}' | sort;"
        f"ls -l /proc/[0-9]*/exe 2>/dev/null | grep -c python; ls {STORE}/leases {STORE}/staging 2>/dev/null"
    )
    return [host.exec(["sh", "-c", script], check=False).stdout for host in site.hosts]


def nothing_left(site: Any) -> None:
    """Nothing that was not there before."""
    try:
        wait_until(lambda: traces(site) == site.before)
    except AssertionError:
        raise AssertionError(f"{traces(site)} where there was {site.before}") from None


def wait_until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_the_controller_sends_an_image_to_one_host_and_the_others_get_it_from_there(site):
    watched = Watched(site, "-vvv", "-b", "-e", "ansible_user=deploy")  # who becomes root by sudo
    results = watched.end()
    first = [name for name, result in results.items() if "relayed" not in result]
    assert len(first) == 1 and results[first[0]]["sent"] > LARGE
    written = watched.written()
    assert written.pop(first[0]) > LARGE
    assert all(size < SMALL for size in written.values()), written
    for name in written:
        assert results[name]["sent"] == 0 and "warnings" not in results[name]
        assert results[name]["relayed"]["from"] in results and results[name]["relayed"]["bytes"] > LARGE
    same_everywhere(site)
    nothing_left(site)
    secrets = [told["token"] for _host, told in watched.told("_peer")] + ["PRIVATE KEY"]
    assert len(secrets) == 3 and not any(one in watched.said for one in secrets)
    again = Watched(site)
    assert not any(result["changed"] for result in again.end().values()) and not again.told("_serve")


def test_one_after_the_other_and_a_host_that_has_half(site):
    """The second play finds a host that has the image already; of what the first had begun, the rest comes."""
    site.good([TASK], host="web1")
    digest = site.layers[1].partition(":")[2]
    half = f"dd if={STORE}/blobs/sha256/{digest} of=/dev/stdout bs=1M count=4 status=none | base64 -w0"
    begun = site.host.exec(["sh", "-c", half]).stdout
    write = f"base64 -d > {STORE}/staging/blob-sha256-{digest}"
    site.hosts[1].exec(["sh", "-c", f"mkdir -p {STORE}/staging; {write}"], stdin=begun)
    watched = Watched(site, "--forks", "1")
    results = watched.end()
    assert not results["web1"]["changed"]
    assert LARGE - (4 << 20) <= results["web2"]["relayed"]["bytes"] < LARGE
    assert results["db1"]["relayed"]["bytes"] > LARGE
    assert max(watched.written().values()) < SMALL
    same_everywhere(site)
    nothing_left(site)


def test_a_peer_that_cannot_be_reached_is_told_of_and_the_controller_sends(site):
    site.good([TASK], host="web1")
    watched = Watched(site, "--forks", "1", "-e", "shepherd_relay_address=127.0.0.1")
    results = watched.end()
    assert not results["web1"]["changed"]
    for name in ("web2", "db1"):
        assert results[name]["sent"] > LARGE and "relayed" not in results[name]
        assert "cannot reach 127.0.0.1" in results[name]["warnings"][0]
    same_everywhere(site)
    nothing_left(site)


@pytest.mark.parametrize("beginning", ["right", "wrong"])
def test_what_a_peer_gives_in_part_is_gone_on_with_and_what_is_wrong_does_not_stay(site, beginning):
    """Its blob ends in the middle, as where it goes away; and is another one besides."""
    site.good([TASK], host="web1")
    blob = f"{STORE}/blobs/sha256/{site.layers[1].partition(':')[2]}"
    other = f"; printf wrong | dd of={blob} conv=notrunc status=none" if beginning == "wrong" else ""
    site.host.exec(["sh", "-c", f"chmod u+w {blob}; truncate -s 4M {blob}{other}"])
    watched = Watched(site, "--forks", "1", "-l", "web1,web2")
    result = watched.end()["web2"]
    assert result["relayed"]["from"] == "web1" and result["relayed"]["bytes"] >= 4 << 20
    assert "cut short" in result["warnings"][0]
    assert (result["sent"] < LARGE) == (beginning == "right")
    site.hosts = site.hosts[1:2]
    same_everywhere(site)


def test_who_is_let_in_and_a_controller_that_is_killed_leaves_no_server(site):
    site.good([TASK], host="web1")
    watched = Watched(site, "--forks", "1", "-l", "web1,web2", HOLD="1")
    try:
        told = wait_until(lambda: watched.told("_peer"))[0][1]
        (_host, given), layer = watched.told("_serve")[0], site.layers[1]
        asked = [f"/v2/app/blobs/{layer}", {"Authorization": f"Bearer {told['token']}"}]
        assert len(_get(told, *asked)[1]) > LARGE
        status, content = _get(told, asked[0], {**asked[1], "Range": f"bytes={LARGE}-"})
        assert status == 206 and f"sha256:{hashlib.sha256(_get(told, *asked)[1]).hexdigest()}" == layer
        assert content == _get(told, *asked)[1][LARGE:]
        for path, headers, answer in (
            (asked[0], {"Authorization": f"Bearer {'0' * 64}"}, 403),
            (asked[0], {}, 403),
            (f"/v2/app/blobs/sha256:{'0' * 64}", asked[1], 404),
            ("/v2/app/blobs/../../etc/passwd", asked[1], 404),
        ):
            assert _get(told, path, headers) == (answer, b"")
        with pytest.raises(ssl.SSLCertVerificationError):
            _get({**told, "certificate": None}, *asked)
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        seen = b"".join(_read(pid, "cmdline") + _read(pid, "environ") for pid in pids)
        assert given["token"].encode() not in seen and b"PRIVATE KEY" not in seen
        found = site.host.exec(["grep", "-rls", "PRIVATE KEY", "/tmp", "/var/tmp", "/run", STORE], check=False)
        assert not found.stdout
    finally:
        os.kill(watched.process.pid, signal.SIGKILL)
        watched.process.communicate()
    nothing_left(site)
    with pytest.raises(OSError):
        _get(told, *asked)


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""  # it has ended


def _get(told: dict[str, Any], path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """What the peer answers to one who believes the certificate it was told of, or the system's authorities."""
    context = ssl.create_default_context(cadata=told["certificate"])
    context.check_hostname = False
    place = told["url"].partition("//")[2]
    connection = http.client.HTTPSConnection(place, context=context, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
