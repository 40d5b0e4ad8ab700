"""The controller's halves of modules, played on a real host: twice, and the second time nothing changes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests import warm

PLAYBOOK = Path(__file__).parent / "play" / "actions.yml"
pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "file"
    path.write_bytes(os.urandom(300_000))
    return path


def play(lab, tmp_path: Path, large: Path, *more: str) -> tuple[dict[str, int], list[dict[str, object]]]:
    extra = json.dumps({"large": str(large), "back": str(tmp_path)})
    argv = [
        sys.executable,
        "-m",
        "shepherd",
        "play",
        str(PLAYBOOK),
        "-i",
        str(lab.inventory),
        "-e",
        extra,
        "--output",
        "json",
    ]
    done = warm.run([*argv, *more], capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    failures = [event for event in events if event.get("status") in ("failed", "unreachable") and not event["ignored"]]
    assert done.returncode == 0, (failures, done.stderr)
    return events[-1]["hosts"]["web1"], events


def test_twice(lab, lab_host, tmp_path: Path, large: Path) -> None:
    lab_host.exec(["rm", "-rf", "/root/actions"])
    first, _ = play(lab, tmp_path, large)
    assert first["changed"] == 9
    back = tmp_path / "web1" / "root" / "actions" / "large"
    assert back.read_bytes() == large.read_bytes()
    assert (tmp_path / "flat.txt").read_text() == "hello\n"
    found = lab_host.exec(
        ["sh", "-c", "cd /root/actions; find . | sort; cat mapping.json; cat numbers; readlink content/link"]
    )
    assert found.stdout.splitlines() == [
        ".", "./content", "./content/a.txt", "./content/link", "./content/sub", "./content/sub/b.txt", "./large",
        "./mapping.json", "./numbers", "./one.txt", "./tree", "./tree/a.txt", "./tree/link", "./tree/sub",
        "./tree/sub/b.txt", '{"a": [1, 2]}number 1', "number 2", "a.txt",
    ]  # fmt: skip
    second, events = play(lab, tmp_path, large)
    changed = [event["task"] for event in events if event.get("status") == "changed"]
    assert second["changed"] == 0, changed


def test_check_mode_foretells(lab, lab_host, tmp_path: Path, large: Path) -> None:
    """Check mode changes nothing, and names the tasks that then do change something."""
    lab_host.exec(["rm", "-rf", "/root/actions"])
    lab_host.exec(["mkdir", "-p", "/root/actions"])
    files = ["file", "mapping", "tree", "content of a tree", "large", "template"]
    playbook = tmp_path / "files.yml"
    lines = [
        line for line in PLAYBOOK.read_text().splitlines() if "assert:" not in line and "register: said" not in line
    ]
    keep = [line for line in lines if not line.startswith("    - ") or any(f"name: {name}," in line for name in files)]
    playbook.write_text("\n".join(keep) + "\n")
    for folder in ("files", "templates"):
        (tmp_path / folder).symlink_to(PLAYBOOK.parent / folder)
    argv = [sys.executable, "-m", "shepherd", "play", str(playbook), "-i", str(lab.inventory), "--output", "json"]
    argv += ["-e", f"large={large}", "-e", f"back={tmp_path}"]

    def changed(*more: str) -> list[str]:
        done = warm.run([*argv, *more], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return [event["task"] for event in events if event.get("status") == "changed"]

    foretold = changed("--check", "--diff")
    assert lab_host.exec(["ls", "/root/actions"]).stdout == ""
    assert changed() == foretold == files
    assert changed("--check") == []
