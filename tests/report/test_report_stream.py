"""Reports that nobody can take any more: the run goes on to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
  - debug: {msg: "{{ 'x' * 100000 }}"}
    loop: [1, 2, 3]
  - copy: {content: done, dest: "{{ playbook_dir }}/done"}
  - fail: {msg: over}
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "hosts").write_text("h ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
    return [sys.executable, "-m", "shepherd", "play", f"{tmp_path}/play.yml", "-i", f"{tmp_path}/hosts"]


@pytest.mark.parametrize("form", ["plain", "json", "terminal"])
def test_a_reader_that_goes(words: list[str], tmp_path: Path, form: str) -> None:
    process = subprocess.Popen([*words, "--output", form], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 2  # the play's own result
    assert (tmp_path / "done").exists()
    assert said == ""


def test_a_full_disk(words: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert (tmp_path / "done").exists()
    assert done.stderr == "[WARNING]: the report cannot be written (No space left on device); the run goes on\n"


def test_a_terminal_without_unicode(words: list[str]) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*words, "-e", "{name: é}"], capture_output=True, env=environment)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    done.stdout.decode("ascii")
