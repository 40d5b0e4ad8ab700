"""The content that comes along with a run, on a host whose folder for temporary files is everybody's."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

from shepherd.remote.upload import SMALL, Upload

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_is_large_lies_in_a_file_that_nobody_can_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody waits for its name, to put a link or a file of their own in its place: there is never one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "shepherd-").symlink_to("/etc/passwd")
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.update(os.listdir(tmp_path))

    watcher = threading.Thread(target=watch)
    watcher.start()
    content = os.urandom(SMALL // 4)
    upload = Upload()
    try:
        for _piece in range(6):
            upload.add(content)
        found = os.fstat(upload.file.fileno())
        upload.file.seek(0)
        assert upload.file.read() == content * 6
    finally:
        done.set()
        watcher.join()
        upload.cancel()
    assert (found.st_nlink, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    assert seen == {"shepherd-"}
