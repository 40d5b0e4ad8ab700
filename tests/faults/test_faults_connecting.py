"""Hosts that cannot be reached or entered: each is reported with what to do about it, and the others go on."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from plays import Fleet, tasks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.lab(hosts=2)
PING = tasks({"ping": None}, {"command": "true"})


def _unused_key(folder: Path, name: str = "key") -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def _down(fleet: Fleet) -> dict[str, Any]:
    return {"ansible_host": "127.0.0.1", "ansible_port": 1}


def _silent(fleet: Fleet) -> dict[str, Any]:
    return {"ansible_host": "203.0.113.1", "ansible_timeout": 1, "ansible_port": 22}


def _no_such_name(fleet: Fleet) -> dict[str, Any]:
    return {"ansible_host": "no-such-host.invalid"}


def _wrong_key(fleet: Fleet) -> dict[str, Any]:
    return {"ansible_ssh_private_key_file": str(_unused_key(fleet.folder))}


def _missing_key(fleet: Fleet) -> dict[str, Any]:
    return {"ansible_ssh_private_key_file": str(fleet.folder / "nope")}


def _no_such_user(fleet: Fleet) -> dict[str, Any]:
    return {"ansible_user": "nosuchuser"}


def _changed_host_key(fleet: Fleet) -> dict[str, Any]:
    public = _unused_key(fleet.folder, "host").with_suffix(".pub").read_text().split()[:2]
    known = fleet.folder / "known_hosts"
    host = fleet.first
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    known.write_text(f"{name} {' '.join(public)}\n")
    return {"ansible_ssh_common_args": f"-o UserKnownHostsFile={known}"}


def _unknown_host_key(fleet: Fleet) -> dict[str, Any]:
    return {"ansible_ssh_common_args": f"-o UserKnownHostsFile={fleet.folder / 'known'}"}


UNREACHABLE = {
    _down: ("refused", "port"),
    _silent: ("203.0.113.1",),
    _no_such_name: ("no-such-host.invalid",),
    _wrong_key: ("publickey", "key"),
    _missing_key: ("nope",),
    _no_such_user: ("nosuchuser",),
    _changed_host_key: ("CHANGED", "known_hosts line 1", "SHA256:", "ssh-keygen -R"),
    _unknown_host_key: ("not known", "--accept-new-host-keys", "SHA256:"),
}


def test_unreachable_hosts_are_explained_and_the_others_go_on(fleet: Fleet) -> None:
    good = fleet.vars
    fleet.vars = {spoil.__name__: {**fleet.first.vars, **spoil(fleet)} for spoil in UNREACHABLE} | good
    done = fleet.play(PING)
    assert done.code == 4, done.err
    counts = done.events[-1]["hosts"]
    for spoil, parts in UNREACHABLE.items():
        name = spoil.__name__
        assert [result["status"] for result in done.results(name)] == ["unreachable"]
        assert counts[name]["unreachable"] == 1
        message = done.last(name)["result"]["msg"]
        assert not [part for part in (name, *parts) if part not in message], message
        assert "Traceback" not in message
    for name in good:
        assert [result["status"] for result in done.results(name)] == ["ok", "changed"]


def test_first_key_accepted_when_asked(fleet: Fleet) -> None:
    fleet.vars[fleet.first.name].update(_unknown_host_key(fleet))
    assert fleet.play(PING, "--accept-new-host-keys").code == 0
    assert fleet.play(PING).code == 0


def test_no_python_but_raw(fleet: Fleet) -> None:
    fleet.vars[fleet.first.name]["ansible_python_interpreter"] = "/no/such/python"
    done = fleet.play(tasks({"raw": "echo here"}, {"ping": None}))
    assert done.code == 2, done.err
    first, second = done.results(fleet.first.name)
    assert first["result"]["stdout"].strip() == "here"
    assert second["status"] == "failed"
    assert "/no/such/python" in second["result"]["msg"]
    assert "ansible_python_interpreter" in second["result"]["msg"]
    assert done.last(fleet.second.name)["status"] == "ok"


@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        ("shepherd", None, ("Missing sudo password", "--ask-become-pass")),
        ("shepherd", "wrong", ("Incorrect sudo password",)),
        ("nobody", None, ()),
    ],
)
def test_sudo_refused(fleet: Fleet, user: str, password: str | None, said: tuple[str, ...]) -> None:
    fleet.vars[fleet.first.name].update(ansible_user="shepherd", ansible_become=True)
    if user == "nobody":  # logs in as one who may do nothing
        fleet.vars[fleet.first.name].update(ansible_become_user="nosuchuser", ansible_become_password="shepherd")
        said = ("nosuchuser",)
    if password:
        fleet.vars[fleet.first.name]["ansible_become_password"] = password
    done = fleet.play(PING)
    assert done.code == 2, done.out
    message = done.last(fleet.first.name)["result"]["msg"]
    assert not [part for part in said if part not in message], message
    assert done.last(fleet.second.name)["status"] == "changed"


def test_sudo_with_its_password_from_a_file(fleet: Fleet) -> None:
    fleet.vars[fleet.first.name]["ansible_user"] = "shepherd"
    (fleet.folder / "password").write_text("shepherd\n")
    (fleet.folder / "program").write_text("#!/bin/sh\necho shepherd\n")
    (fleet.folder / "program").chmod(0o755)
    for file in ("password", "program"):
        done = fleet.play(tasks({"command": "id -u"}), "-b", "--become-password-file", file)
        assert done.code == 0, done.out
        assert done.last(fleet.first.name)["result"]["stdout"] == "0"
    assert "shepherd\\n" not in done.out
