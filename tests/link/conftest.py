"""Fixtures for links to this machine."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from links import eventually, marked

from shepherd import sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shepherd.sources import Source


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every process that a test starts is gone after it. Gives the mark by which they are known."""
    mark = f"SHEPHERD_TEST={uuid.uuid4().hex}"
    monkeypatch.setenv(*mark.split("="))
    yield mark
    assert eventually(lambda: not marked(mark)), [
        Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") for pid in marked(mark)
    ]


@pytest.fixture
def probe(tmp_path: Path) -> Callable[..., Source]:
    """Write a user's module: the body of its `run(task)`, or with `whole` the file."""
    count = 0

    def make(body: str, *, name: str = "probe", options: str = "{}", whole: bool = False) -> Source:
        nonlocal count
        count += 1
        path = tmp_path / f"library{count}" / f"{name}.py"
        path.parent.mkdir()
        lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
        path.write_text(body if whole else f'SPEC = {{"options": {options}}}\n\n\ndef run(task):\n{lines}')
        return sources.module(path, name)

    return make


@pytest.fixture
def ping() -> Source:
    return sources.module(sources.modules_directory() / "ping.py", "ping")
