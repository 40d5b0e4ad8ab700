"""The fixtures in a test session of a user's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from lab_traces import bridges, traces

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import os, pathlib, subprocess, time, pytest

@pytest.mark.lab(hosts=2)
def test_hosts(lab, lab_host):
    assert [host.name for host in lab.hosts][:2] == ["web1", "web2"]
    assert lab.exec("web2", ["hostname"]).stdout == "web2\\n"
    assert lab_host.exec(["tr", "a", "b"], stdin="aha").stdout == "bhb"
    assert subprocess.check_output(lab_host.ssh_command("hostname")) == b"web1\\n"
    assert lab_host.vars["ansible_host"] in lab.inventory.read_text()
    assert lab.known_hosts.exists() and lab.key.exists()

def test_another_worker(lab):
    folder = pathlib.Path(os.environ["SEEN"])
    (folder / lab.lab.name).write_text(lab.lab.bridge)
    while len(list(folder.iterdir())) < int(os.environ.get("WORKERS", "1")):
        time.sleep(0.01)
    if "HANG" in os.environ:
        time.sleep(60)
    assert "FAIL" not in os.environ

test_one_more_worker = test_another_worker
"""


def play(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    (folder / "test_hosts.py").write_text(TESTS)
    (folder / "seen").mkdir()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "lab_hosts=1",
        *words,
        "test_hosts.py",
    ]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    settings.update(environment, SEEN=str(folder / "seen"))
    return subprocess.Popen(command, cwd=folder, env=settings, stdout=subprocess.PIPE, text=True)


def seen(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "seen").iterdir())


@pytest.mark.lab
def test_labs_are_down_afterwards(name, tmp_path):
    process = play(tmp_path, FAIL="1")
    output = process.communicate(timeout=60)[0]
    assert "2 failed, 1 passed" in output, output
    assert traces(seen(tmp_path)[0]) == []


@pytest.mark.lab
def test_every_worker_has_its_own(name, tmp_path):
    pytest.importorskip("xdist")
    process = play(tmp_path, "-n", "2", "-k", "worker", WORKERS="2")
    output = process.communicate(timeout=90)[0]
    assert "2 passed" in output, output
    assert len(seen(tmp_path)) == 2
    assert [traces(lab) for lab in seen(tmp_path)] == [[], []]


@pytest.mark.lab
@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_labs_are_down_when_the_session_dies(how, name, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = play(tmp_path, "-k", "another", HANG="1", TMPDIR=str(temporary))
    while not list((tmp_path / "seen").iterdir()) and process.poll() is None:
        time.sleep(0.01)
    (lab,) = seen(tmp_path)
    ours = bridges(lab)
    getattr(process, how)()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while (traces(lab, ours) or list(temporary.glob("shepherd-lab-*"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert traces(lab, ours) == [] and list(temporary.glob("shepherd-lab-*")) == []
