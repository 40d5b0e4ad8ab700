"""A host of each test's own, in network namespaces, with nothing left of it afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from places import Host

from shepherd.runtime.network import resolvers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    monkeypatch.setattr(resolvers, "_FILE", str(tmp_path / "resolv.conf"))  # whatever this machine has
    made = Host(tmp_path)
    yield made
    made.destroy()
