"""The flags of files, beside what lsattr(1) shows of them."""

import random
import shutil
import subprocess

import pytest

from shepherd.remote import inode_flags

CHANGEABLE = "sSdAcjtTDu"  # what chattr(1) can set on a file that root may still change


def shown(path):
    """lsattr's letters and version."""
    told = subprocess.run(["lsattr", "-vd", path], capture_output=True, text=True, check=True).stdout.split()
    return told[1].replace("-", ""), int(told[0])


def test_the_flags_are_those_that_lsattr_shows(tmp_path):
    file = tmp_path / "file"
    file.touch()
    if not shutil.which("lsattr") or subprocess.run(["lsattr", "-vd", file], capture_output=True).returncode:
        pytest.skip("there is no lsattr, or this file system has no flags")
    choice = random.Random(3)  # noqa: S311  # any will do, the same each time
    for _ in range(30):
        letters = "".join(choice.sample(CHANGEABLE, choice.randint(1, 5)))
        subprocess.run(["chattr", "=" + letters, file], capture_output=True, check=False)  # some cannot go together
        assert inode_flags.read(str(file)) == shown(file)
    assert inode_flags.read(str(tmp_path)) == shown(tmp_path)


def test_what_has_no_flags_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("file")
    for path in ("/dev/null", str(tmp_path / "link"), str(tmp_path / "missing")):
        with pytest.raises(OSError):
            inode_flags.read(path)
