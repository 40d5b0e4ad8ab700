"""Playbooks that cannot be read: one clear message, its place, and what to do. The table is bad.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from playbook_trees import loader, write

from shepherd.errors import ShepherdError
from shepherd.playbook import load

CASES = yaml.safe_load((Path(__file__).parent / "bad.yml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_says_what_is_wrong_and_where(case: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, {"play.yml": case["playbook"], **case.get("files", {})})
    with pytest.raises(ShepherdError) as caught:
        load(str(tmp_path / "play.yml"), loader=loader())
    error = caught.value
    said = {"message": error.message, "at": str(error.origin).removeprefix(f"{tmp_path}/"), "hint": error.hint}
    expected = {"message": case["message"], "at": case["at"], "hint": case.get("hint")}
    assert said == {
        key: value.replace("DIR", str(tmp_path)) if isinstance(value, str) else value for key, value in expected.items()
    }
    assert error.exit_code == 4
    assert "Traceback" not in error.render()


def test_no_name_stands_twice() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))


def test_a_playbook_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ShepherdError, match="could not be found"):
        load(str(tmp_path / "none.yml"), loader=loader())
