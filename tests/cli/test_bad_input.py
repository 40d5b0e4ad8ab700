"""Mistakes of people: one clear message with its place, the right exit code, nothing run (table: bad_input.yml)."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import shepherd

CASES = yaml.safe_load((Path(__file__).parent / "bad_input.yml").read_text())
FIRST = "- hosts: all\n  gather_facts: false\n  tasks:\n  - name: first\n    command: touch ran\n"
HOST = "h1 ansible_connection=local ansible_python_interpreter=/usr/bin/python3"


def _write(case: dict[str, Any], folder: Path) -> None:
    tasks = "".join(f"  {line}\n" for line in case.get("tasks", "").splitlines())
    playbook = case.get("playbook", FIRST + tasks + case.get("playbook_end", ""))
    files = {"play.yml": playbook, "hosts": f"{HOST} {case.get('inventory_vars', '')}\n", **case.get("files", {})}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(bytes(content) if isinstance(content, list) else content.encode())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_says_what_is_wrong(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(case, tmp_path)
    for name, value in case.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    said = shepherd(case.get("words") or shlex.split(case.get("command", "play play.yml -i hosts")), tmp_path)
    text = said.both
    missing = [part for part in case.get("says", []) if part not in text]
    assert not missing, text
    codes = case.get("code", 4)
    assert said.code in (codes if isinstance(codes, list) else [codes]), text
    assert "Traceback" not in text
    assert "a bug in shepherd" not in text
    if "at" in case:
        assert f"at {tmp_path / case['at']}\n" in text or f"at {case['at']}\n" in text, text
    assert all(text.count(part) == 1 for part in case.get("once", [])), text
    assert (tmp_path / "ran").exists() == case.get("ran", False), text
    assert case.get("code") == 0 or text.count("ERROR!") <= 1
