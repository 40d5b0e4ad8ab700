"""The tables that say which test shows what: every row has a test, and every test that is named exists."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "runtime"
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
LAST_ATTACK = 51


def rows(name: str) -> list[list[str]]:
    """The cells of the rows of all tables of a page, without heads."""
    lines = [line for line in (DOCS / name).read_text().splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = [number for number, cells in enumerate(found) if set("".join(cells)) <= set("-:")]
    return [cells for number, cells in enumerate(found) if number not in heads and number + 1 not in heads]


@functools.cache
def functions_of(file: str) -> frozenset[str]:
    places = list((ROOT / "tests").rglob(file))
    assert len(places) == 1, (file, places)
    return frozenset(node.name for node in ast.parse(places[0].read_bytes()).body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("name", ["security.md", "conformance.md"])
def test_every_row_names_tests_that_exist(name: str) -> None:
    found = rows(name)
    assert len(found) >= LAST_ATTACK
    for cells in found:
        named = NAMED.findall(cells[-1])
        assert named, f"no test: {cells[0]}"
        assert not NAMED.sub("", cells[-1]).strip(), f"what is this: {cells[-1]}"
        for file, function in named:
            assert function in functions_of(file), f"{file} has no {function}"


def test_every_attack_of_the_list_is_there() -> None:
    assert [int(cells[0]) for cells in rows("security.md")] == list(range(1, LAST_ATTACK + 1))


def test_no_demand_is_there_twice() -> None:
    demands = [tuple(cells[:2]) for cells in rows("conformance.md")]
    assert len(set(demands)) == len(demands)
