"""Every case: what we print of an inventory is, letter for letter, what ansible-inventory printed of it."""

from __future__ import annotations

import shlex

import inventory_oracle as oracle
import pytest

from shepherd.cli import main

CASES = sorted(oracle.CASES.iterdir())
COMMANDS = [(case, command, output) for case in CASES for command, output in oracle.commands(case)]


@pytest.mark.parametrize(
    ("case", "command", "output"), COMMANDS, ids=[f"{case.name}: {line}" for case, line, _ in COMMANDS]
)
def test_prints_what_was_recorded(case, command, output, monkeypatch, capsys):
    monkeypatch.chdir(case)
    assert main(["inventory", *shlex.split(command)]) == 0
    assert capsys.readouterr().out.rstrip() == output.rstrip()


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_oracle_still_prints_what_was_recorded(case):
    if oracle.program("ansible-inventory") is None:
        pytest.skip("ansible-inventory is not installed: set SHEPHERD_ORACLE to the folder it is in")
    command, output = oracle.commands(case)[0]
    assert oracle.run("ansible-inventory", shlex.split(command), case).rstrip() == output.rstrip()
