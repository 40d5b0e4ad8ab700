"""A log that is read while a monitor renames its files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from shepherd.runtime.containers import log, logs

if TYPE_CHECKING:
    from pathlib import Path

LINES = [f"{number}\n" for number in range(60)]


@pytest.mark.parametrize("read_every", [1, 7])
def test_nothing_is_lost_or_twice_at_any_step_of_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_every: int
) -> None:
    """Between any two steps one reader goes on, and another begins: both have every line that was written."""
    path = str(tmp_path / "json.log")
    written = log.Log(path, 300, 20)
    follower = logs.Reader(path)
    followed: list[str] = []
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        begun = logs.Reader(path)
        now = [entry.text for entry in begun.entries()]
        begun.close()
        assert now == LINES[: len(now)]
        if looks % read_every == 0:  # else it is some files behind
            followed.extend(entry.text for entry in follower.entries())
            assert followed == LINES[: len(followed)]
            assert len(followed) >= len(now)

    def looked_at(function: Any) -> Any:
        def done(*words: Any) -> None:
            look()
            function(*words)
            look()

        return done

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", looked_at(os.rename))
        patched.setattr(log.Log, "_append", looked_at(log.Log._append))
        for line in LINES:
            written.write("stdout", line.encode())
    written.close()
    followed.extend(entry.text for entry in follower.entries())
    follower.close()
    assert followed == LINES
    assert len(list(tmp_path.iterdir())) > len(LINES) / 10  # many rotations


def test_the_last_lines_come_from_as_many_files_as_they_are_in(tmp_path: Path) -> None:
    path = str(tmp_path / "json.log")
    written = log.Log(path, 300, 20)
    for line in LINES:
        written.write("stdout", line.encode())
    written.close()
    for count in (0, 1, 3, 4, 50, len(LINES), 1000):
        reader = logs.Reader(path, count)
        assert [entry.text for entry in reader.entries()] == (LINES[-count:] if count else [])
        reader.close()


def test_a_log_that_goes_with_its_container_ends(tmp_path: Path) -> None:
    folder = tmp_path / "container"
    folder.mkdir()
    reader = logs.Reader(str(folder / "json.log"))
    folder.rmdir()
    assert list(reader.entries()) == []
