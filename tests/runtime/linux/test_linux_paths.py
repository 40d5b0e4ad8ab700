"""Places to mount at that are links to what is missing, as /etc/resolv.conf of many images is."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from shepherd.runtime.linux import paths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("link", "made"),
    [
        ("../run/systemd/resolve/stub-resolv.conf", "run/systemd/resolve/stub-resolv.conf"),
        ("/run/resolv.conf", "run/resolv.conf"),
        ("../../../../outside", "outside"),
        ("other", "etc/last"),
    ],
)
def test_a_file_is_made_where_a_link_leads_inside_the_root(tmp_path: Path, link: str, made: str) -> None:
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "resolv.conf").symlink_to(link)
    (tmp_path / "root" / "etc" / "other").symlink_to("last")
    root = os.open(tmp_path / "root", os.O_PATH)
    try:
        found = paths.make_file(root, "/etc/resolv.conf")
        assert os.path.samestat(os.fstat(found), (tmp_path / "root" / made).lstat())
        os.close(found)
    finally:
        os.close(root)
    assert os.listdir(tmp_path) == ["root"]


def test_links_that_lead_to_one_another_are_given_up(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    root = os.open(tmp_path, os.O_PATH)
    try:
        with pytest.raises(OSError, match="symbolic links") as found:
            paths.make_file(root, "/one")
    finally:
        os.close(root)
    assert found.value.errno == errno.ELOOP
