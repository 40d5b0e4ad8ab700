"""Users and passwords out of the files other clients keep them in."""

from __future__ import annotations

import base64
import json
import os

import pytest

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images.credentials import Credentials, from_text
from shepherd.runtime.images.reference import parse


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


AUTHS = {
    "h.x": auth("host:1"),
    "h.x/team": auth("team:2"),
    "h.x/team/app": auth("app:3:4"),
    "https://index.docker.io/v1/": auth("hub:5"),
    "https://old.x/v1/": auth("old:6"),
    "plain.x": {"username": "plain", "password": "7"},
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("h.x/other", ("host", "1")),
        ("h.x/team/other", ("team", "2")),
        ("h.x/team/app:1", ("app", "3:4")),
        ("h.x/team/app/below", ("app", "3:4")),
        ("h.x/teams/app", ("host", "1")),
        ("alpine", ("hub", "5")),
        ("old.x/app", ("old", "6")),
        ("plain.x/app", ("plain", "7")),
        ("h.x:5000/app", None),
        ("h.xy/app", None),
    ],
)
def test_the_longest_name_decides(name, found, tmp_path):
    (tmp_path / "auth.json").write_text(json.dumps({"auths": AUTHS}))
    assert Credentials(str(tmp_path / "auth.json")).find(parse(name)) == found


def test_where_files_are_looked_for(tmp_path, monkeypatch):
    for variable in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Credentials().find(parse("h.x/a")) is None
    places = [
        ("DOCKER_CONFIG", "docker", "config.json"),
        ("XDG_RUNTIME_DIR", "run", "containers/auth.json"),
        ("REGISTRY_AUTH_FILE", "named", ""),
    ]
    for variable, folder, name in places:
        place = tmp_path / folder / name if name else tmp_path / folder
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({"auths": {"h.x": auth(folder + ":1")}}))
        monkeypatch.setenv(variable, str(tmp_path / folder))
        assert Credentials().find(parse("h.x/a")) == (folder, "1")


def test_a_credential_helper(tmp_path, monkeypatch):
    """It gets the host on its standard input, not as an argument."""
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread host; [ "$host" = h.x ] && [ "$*" = get ] || exit 1\n'
        """printf '{"ServerURL":"h.x","Username":"helped","Secret":"8"}'\n"""
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for document in ({"credHelpers": {"h.x": "test"}}, {"credsStore": "test"}):
        (tmp_path / "auth.json").write_text(json.dumps(document))
        known = Credentials(str(tmp_path / "auth.json"))
        assert known.find(parse("h.x/app")) == ("helped", "8")
        assert known.find(parse("other.x/app")) is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"auths": [1]}', '{"auths": {"h.x": {"auth": "%%%"}}}', '{"auths": {"h.x": {"auth": "bm9uZQ=="}}}',
     '{"auths": {"h.x": {"auth": 7}}}', '{"credHelpers": {"h.x": "../evil"}}', '{"credHelpers": {"h.x": "absent"}}'],
)  # fmt: skip
def test_files_that_are_wrong(text, tmp_path):
    (tmp_path / "auth.json").write_text(text)
    with pytest.raises(RuntimeFailure) as caught:
        Credentials(str(tmp_path / "auth.json")).find(parse("h.x/app"))
    assert "bm9uZQ" not in caught.value.message
    with pytest.raises(RuntimeFailure, match="no such file"):
        Credentials(str(tmp_path / "absent")).find(parse("h.x/app"))


@pytest.mark.parametrize("text", ["", "user", ":password", "\n"])
def test_credentials_that_are_none(text):
    with pytest.raises(RuntimeFailure):
        from_text(text)
