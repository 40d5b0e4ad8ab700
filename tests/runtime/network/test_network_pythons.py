"""Networks on the oldest and the newest Python of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import seconds

HERE = Path(__file__).parent


def pythons() -> list[str]:
    found = {}
    for path in Path.home().glob(".pyenv/versions/3.*/bin/python"):
        found[tuple(int(part) for part in path.parts[-3].split(".")[:2] if part.isdigit())] = str(path)
    versions = [version for version in sorted(found) if version >= (3, 6)]
    return [found[version] for version in dict.fromkeys(versions[:1] + versions[-1:])] or [sys.executable]


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's")
@pytest.mark.parametrize("python", pythons())
def test_a_network(python, tmp_path):
    words = [python, "-I", "-S", "-B", HERE / "network_program.py", HERE.parents[2], tmp_path]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds(100), env=environment, check=False)
    assert done.stdout.endswith("fine\n") and done.returncode == 0, done.stdout + done.stderr
