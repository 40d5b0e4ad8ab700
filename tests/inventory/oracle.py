"""ansible-core beside us, to compare with. `python tests/inventory/oracle.py` records anew what the cases expect."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

CASES = Path(__file__).parent / "cases"


def program(name: str) -> str | None:
    """The path of one of its commands, from the folder SHEPHERD_ORACLE or PATH; None where it is not installed."""
    return shutil.which(name, path=os.environ.get("SHEPHERD_ORACLE")) or shutil.which(name)


def run(name: str, arguments: list[str], cwd: Path) -> str:
    """What it prints, run in `cwd` with a home of its own."""
    found = program(name)
    assert found, f"{name} is not installed"
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([found, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    return done.stdout


def commands(case: Path) -> list[tuple[str, str]]:
    """The command lines of a case, with what each is expected to print."""
    sections = ("\n" + (case / "expected").read_text()).split("\n$ ")[1:]
    return [(command, output) for command, _, output in (section.partition("\n") for section in sections)]


def record() -> None:
    for case in sorted(CASES.iterdir()):
        recorded = [
            f"$ {command}\n{run('ansible-inventory', shlex.split(command), case)}" for command, _ in commands(case)
        ]
        (case / "expected").write_text("".join(text.rstrip("\n") + "\n" for text in recorded))


if __name__ == "__main__":
    record()
