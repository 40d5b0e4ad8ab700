"""What dpkg has installed and which version is newer, compared with dpkg's own tools."""

import itertools
import shutil
import subprocess

import pytest

from shepherd.remote import dpkg

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-query"), reason="needs dpkg")

PARAGRAPHS = """\
Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21

Package: libfoo
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 1:2.0-1
Provides: foo-api (= 2), foo-abi

Package: libfoo
Status: install ok installed
Architecture: i386
Version: 1:1.9-1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 3

Package: half
Status: install ok half-configured
Architecture: all
Version: 4
Description: text
 Package: liar

Package: never
Status: purge ok not-installed
Architecture: all

Package: held
Status: hold ok installed
Architecture: all
Version: 5
"""


@pytest.fixture
def status(tmp_path):
    (tmp_path / "status").write_text(PARAGRAPHS)
    return dpkg.Status(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "version", "installed"),
    [
        ("libfoo", "1:2.0-1", True),
        ("libfoo:amd64", "1:2.0-1", True),
        ("libfoo:i386", "1:1.9-1", True),
        ("libfoo:arm64", None, None),
        ("gone", "3", False),
        ("half", "4", True),
        ("held", "5", True),
        ("held:all", "5", True),
        ("never", "", False),
        ("liar", None, None),
        ("foo", None, None),
        ("lib", None, None),
        ("", None, None),
    ],
)
def test_packages(status, name, version, installed):
    found = status.package(name)
    assert (found and (found.version, found.installed)) == (None if version is None else (version, installed))


def test_names_and_what_is_provided(status):
    assert status.names() == ["dpkg", "libfoo", "libfoo", "half", "held"]
    assert status.package("gone").config and not status.package("held").config
    assert [name for name in ("foo-api", "foo-abi", "foo", "abi", "libfoo") if status.provided(name)] == [
        "foo-api",
        "foo-abi",
    ]


def test_no_file(tmp_path):
    assert dpkg.Status(str(tmp_path / "none")).package("bash") is None


@needs_dpkg
def test_this_machine():
    form = "${Package}:${Architecture} ${Version} ${db:Status-Status}\n"
    told = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True).stdout
    status = dpkg.Status()
    for line in told.splitlines():
        name, version, state = line.split(" ")
        found = status.package(name)
        assert (found.version, found.installed) == (version, state == "installed"), line


VERSIONS = (
    "1.0 1.0~rc1 1.0~ 1.0-1 1.0-1~bpo1 1:0.1 2 10 1.10 1.9 1.0a 1.0+b 1.0.0 1.0-0 0 1.0z 1.0-1.1 1.0-1+b1 1a1 1a 1-1-1"
    " 1.0~~ 1.0~~a 1.00 001 1.2.3+dfsg-1 1.2.3-1ubuntu2"
)


@needs_dpkg
def test_versions():
    """All pairs in one shell: a process for each would take a minute."""
    pairs = list(itertools.combinations_with_replacement(VERSIONS.split(), 2))
    words = {-1: "lt", 0: "eq", 1: "gt"}
    lines = [f"dpkg --compare-versions '{a}' {words[dpkg.compare(a, b)]} '{b}' || echo '{a} {b}'" for a, b in pairs]
    told = subprocess.run(["sh"], input="\n".join(lines), capture_output=True, text=True, check=True)
    assert told.stdout == ""
    assert all(dpkg.compare(a, b) == -dpkg.compare(b, a) for a, b in pairs)
