"""docs/tutorial.md, typed by a newcomer: its files are written, its commands run in one shell, its outputs compared.

A fence's first word is its language; behind it stands the name of the file to write, or `fails` for commands that must
fail. A `text` fence after commands holds lines of their output, in any order since hosts answer when they can; `…`
stands for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from shepherd.lab.checks import obstacle
from shepherd.lab.down import down_by_name
from tests import warm

CHECKOUT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<language>\w+) ?(?P<rest>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Fence(NamedTuple):
    language: str
    rest: str
    text: str


class Shell:
    """One bash for the whole tutorial, so that `cd` and `activate` last."""

    END = "---the command has ended:"

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[str, int]:
        """What the command printed, and its exit code."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{{ {command}\n}} </dev/null; echo '{self.END}' $?\n")
        self._process.stdin.flush()
        printed = []
        for line in self._process.stdout:
            if line.startswith(self.END):
                return "".join(printed), int(line.split()[-1])
            printed.append(line)
        raise AssertionError(f"the shell ended: {''.join(printed)}")

    def close(self) -> None:
        self._process.communicate(timeout=30)


def test_every_fence_is_understood() -> None:
    text = (CHECKOUT / "docs/tutorial.md").read_text()
    assert text.count("```") == 2 * len(FENCE.findall(text))


def test_the_module_in_the_page_about_modules(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    for fence in map(Fence._make, FENCE.findall((CHECKOUT / "docs/modules.md").read_text())):
        (tmp_path / fence.rest).write_text(fence.text)
    tasks = "[greeting: {path: there, name: you}]"
    (tmp_path / "play.yml").write_text(f"- {{hosts: localhost, gather_facts: false, tasks: {tasks}}}\n")
    command = [sys.executable, "-m", "shepherd", "play", "play.yml"]
    for words, recap in ((["-C"], "changed=1"), ([], "changed=1"), ([], "changed=0"), (["-C"], "changed=0")):
        done = warm.run([*command, *words], cwd=tmp_path, capture_output=True, text=True)
        assert recap in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "there").read_text() == "Hello, you!\n"


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_tutorial(tmp_path: Path) -> None:
    problem = obstacle()
    if problem is not None:
        pytest.skip(problem.message)
    clone = tmp_path / "shepherd"
    for part in ("shepherd", "modules", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (CHECKOUT / part).is_dir() else shutil.copy
        clone.mkdir(exist_ok=True)
        copy(CHECKOUT / part, clone / part)
    home = tmp_path / "home"
    home.mkdir()
    outside = {"VIRTUAL_ENV", "PYTHONPATH", "SHEPHERD_ORACLE"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST") and name not in outside}
    # python3 as a newcomer finds it, and not the one of the virtual environment that runs this test
    path = os.pathsep.join(folder for folder in os.get_exec_path() if not Path(folder, "activate").exists())
    shell = Shell(clone, {**kept, "HOME": str(home), "PATH": path, "DEBIAN_FRONTEND": "noninteractive"})
    try:
        follow((CHECKOUT / "docs/tutorial.md").read_text(), shell, home / "flock")
        assert "tutorial" not in shell.run("shepherd lab list")[0]
    finally:
        down_by_name("tutorial")
        shell.close()


def follow(tutorial: str, shell: Shell, folder: Path) -> None:
    printed = ""
    for fence in map(Fence._make, FENCE.findall(tutorial)):
        if fence.language == "sh":
            printed = ""
            for command in fence.text.splitlines():
                output, code = shell.run(command)
                assert (code != 0) == (fence.rest == "fails"), f"$ {command}\n{output}"
                printed += output
        elif fence.language == "text":
            compare(fence.text, printed)
        else:
            path = folder / fence.rest
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fence.text)


def compare(expected: str, printed: str) -> None:
    """Each expected line is part of a printed line of its own."""
    rest = printed
    for line in expected.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
        found = re.search(pattern, rest)
        assert found, f"expected {line!r} in:\n{rest}\n\nall of it:\n{printed}"
        rest = rest[: found.start()] + rest[found.end() :]
