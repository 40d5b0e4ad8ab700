"""A directory with files and templates, and scopes in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shepherd.documents import load_text
from shepherd.templating import OMIT, Layer, Scope, Templates

if TYPE_CHECKING:
    from collections.abc import Callable

TREE = Path(__file__).parent / "tree"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of tree/, for lookups that write."""
    shutil.copytree(TREE, tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture
def templates() -> Templates:
    return Templates()


@pytest.fixture
def scope(templates: Templates, tmp_path: Path) -> Callable[..., Scope]:
    """scope(yaml text or mapping, …): layers, highest first, above the magic variables."""

    def make(*layers: Any, directory: Path = tmp_path) -> Scope:
        read = [load_text(layer, "vars.yml") if isinstance(layer, str) else layer for layer in layers]
        return Scope([magic(directory), *(Layer(values or {}) for values in read)], templates)

    return make


def magic(directory: Path) -> Layer:
    values = {
        "omit": OMIT,
        "inventory_hostname": "localhost",
        "playbook_dir": str(directory),
        "ansible_search_path": [str(directory)],
        "groups": {"all": ["h1", "h2", "h3"], "web": ["h1", "h2"], "db": ["h3"]},
    }
    return Layer(values, trusted=False)
