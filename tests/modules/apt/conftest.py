"""A lab host with a repository of packages of our own, and none of them installed before a test."""

from pathlib import Path

import lab_target
import pytest
from installed import REPOSITORY

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def host(lab):
    host = lab.hosts[-1]
    if host.exec(["sh", "-c", "command -v apt-get"], check=False).returncode:
        pytest.skip("this machine's packages are not apt's")
    host.exec(["python3", "-", REPOSITORY], stdin=(HERE / "apt_repository.py").read_text())
    host.exec(["sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*"])
    host.exec(["tee", "/etc/apt/sources.list"], stdin=f"deb [trusted=yes] file:{REPOSITORY} ./\n")
    host.exec(["apt-get", "-q", "update"])
    return host


@pytest.fixture(scope="session")
def target(host, tmp_path_factory):
    yield from lab_target.target(host, tmp_path_factory)


@pytest.fixture(autouse=True)
def fresh(host):
    """No package of ours is there before a test."""
    command = "dpkg-query -W -f '${Package}\\n' 'sh-*' 2>/dev/null | xargs -r dpkg --purge --force-all >/dev/null 2>&1"
    host.exec(["sh", "-c", f"{command}; rm -f /etc/sh-*"])
