"""Playbooks written to a folder and read, and ansible-core beside us to compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from shepherd.playbook import Loader, load
from shepherd.playbook.model import Block, Play, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def loader(**options: Any) -> Loader:
    """One that looks for roles beside the playbook alone."""
    return Loader(**{"roles_path": (), **options})


def play(folder: Path, files: Mapping[str, str] | str, **options: Any) -> Play:
    """The first play of play.yml among `files`; a text is play.yml itself."""
    write(folder, {"play.yml": files} if isinstance(files, str) else files)
    return load(str(folder / "play.yml"), loader=loader(**options)).plays[0]


def flat(*blocks: Block) -> Iterator[Task]:
    for block in blocks:
        for entry in (*block.tasks, *block.rescue, *block.always):
            if isinstance(entry, Task):
                yield entry
            else:
                yield from flat(entry)


def tasks(play: Play) -> list[Task]:
    return list(flat(play.pre_tasks, *play.roles, play.tasks, play.post_tasks))


def oracle(name: str) -> str | None:
    """The path of one of ansible-core's commands; None where it is not installed."""
    return shutil.which(name, path=os.environ.get("SHEPHERD_ORACLE")) or shutil.which(name)


def run_oracle(name: str, arguments: list[str], cwd: Path, text: str = "") -> str:
    """What it prints, with a home of its own."""
    found = oracle(name)
    assert found
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([found, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, input=text)
    return done.stdout
