"""Lab hosts as pytest fixtures, also for the tests of your own playbooks (docs/lab.md).

Loaded by every pytest that has Shepherd installed, so it imports nothing before a fixture is asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.lab.session import LabHost, LabSession


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("lab_hosts", "how many hosts the `lab` fixture has at least", default="3")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab(hosts=N): needs local SSH hosts, at least N of them")
    config.addinivalue_line("markers", "systemd: needs lab hosts with systemd")


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[LabSession]:
    """SSH hosts of this test session's own, as many as the ini option lab_hosts or a marker lab(hosts=N) asks for."""
    marked = [mark.kwargs.get("hosts", 0) for item in request.session.items for mark in item.iter_markers("lab")]
    yield from _opened("", max([int(request.config.getini("lab_hosts")), *marked]))


@pytest.fixture
def lab_host(lab: LabSession) -> LabHost:
    """The first of the lab's hosts."""
    return lab.hosts[0]


@pytest.fixture(scope="session")
def systemd_host() -> Iterator[LabHost]:
    """A host with systemd as process 1, on a port of 127.0.0.1; it shares this machine's network, so that apt works."""
    for lab in _opened("systemd", 1, systemd=True, ports=True):
        yield lab.hosts[0]


def _opened(suffix: str, count: int, **wishes: bool) -> Iterator[LabSession]:
    from shepherd.lab.checks import obstacle
    from shepherd.lab.session import opened

    problem = obstacle()
    if problem is not None:
        pytest.skip(f"{problem.message} ({problem.hint})" if problem.hint else problem.message)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    name = "-".join(part for part in ("pytest", str(os.getpid()), worker, suffix) if part)
    with opened(name, count, **wishes) as lab:
        yield lab
