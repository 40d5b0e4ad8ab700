"""The namespace code on the oldest and the newest Python of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shepherd.lab.checks import obstacle

HERE = Path(__file__).parent


def pythons() -> list[Path]:
    found = {}
    for path in Path.home().glob(".pyenv/versions/3.*/bin/python"):
        found[tuple(int(part) for part in path.parts[-3].split(".") if part.isdigit())] = path
    versions = [version for version in sorted(found) if version >= (3, 6)]
    return [found[version] for version in {versions[0], versions[-1]}] if versions else [Path(sys.executable)]


@pytest.mark.lab
@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.parts[-3])
def test_a_container(python, tmp_path):
    problem = obstacle()
    if problem is not None:
        pytest.skip(problem.message)
    (tmp_path / "scratch").mkdir()
    words = [HERE / "container_program.py", HERE.parents[1], tmp_path / "scratch", tmp_path / "output"]
    done = subprocess.run([python, *words], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr
