"""What a process on the target keeps from one item of a loop to the next is as good as looking again."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as some

from shepherd.remote import fingerprint, instances

if TYPE_CHECKING:
    from pathlib import Path

LONG_AGO = 1_000_000_000_000_000_000  # nanoseconds


def beginning(folder: Path, word: str) -> list[str]:
    return list(instances._beginning(str(folder), word))


def add(folder: Path, name: str) -> None:
    (folder / name).symlink_to("0" * 64)


def test_names_that_were_listed_are_used_until_the_folder_changes(tmp_path: Path) -> None:
    for name in ("web", "web-1", "web.next", "weber", "wea", "x"):
        add(tmp_path, name)
    os.utime(tmp_path, ns=(LONG_AGO, LONG_AGO))
    assert beginning(tmp_path, "web") == ["web", "web-1", "web.next", "weber"]
    kept = instances._listed["names"]
    assert beginning(tmp_path, "x") == ["x"]
    assert instances._listed["names"] is kept
    add(tmp_path, "x-2")
    assert beginning(tmp_path, "x") == ["x", "x-2"]
    (tmp_path / "x").unlink()
    assert beginning(tmp_path, "x") == ["x-2"]
    assert beginning(tmp_path / "none", "x") == []


def test_a_change_is_seen_though_the_clock_has_not_moved(tmp_path: Path) -> None:
    add(tmp_path, "web")
    now = tmp_path.stat().st_mtime_ns
    assert beginning(tmp_path, "web") == ["web"]
    add(tmp_path, "web-1")
    os.utime(tmp_path, ns=(now, now))
    assert beginning(tmp_path, "web") == ["web", "web-1"]


@given(some.binary(max_size=200), some.binary(max_size=200))
def test_fingerprints_are_those_of_the_standard_library(key: bytes, data: bytes) -> None:
    assert fingerprint.sha256(data) == hashlib.sha256(data).hexdigest()
    assert fingerprint.keyed(key, data) == hmac.new(key, data, hashlib.sha256).hexdigest()
