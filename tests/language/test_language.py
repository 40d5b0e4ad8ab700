"""Playbooks mean what they mean to ansible-core 2.18: the same answers, in the same order, the same recap."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.language import compare


@pytest.mark.parametrize("case", compare.cases(), ids=lambda case: case.stem)
def test_as_recorded(case: Path, tmp_path: Path) -> None:
    expected = json.loads((compare.RECORDED / f"{case.stem}.json").read_text())
    found = json.loads(json.dumps(compare.with_shepherd(case, tmp_path)))
    errors = found.pop("stderr", None)
    assert found == expected, errors


@pytest.mark.oracle
@pytest.mark.skipif(
    "SHEPHERD_ORACLE" not in os.environ, reason="SHEPHERD_ORACLE does not name a folder with ansible-playbook"
)
@pytest.mark.parametrize("case", compare.cases(), ids=lambda case: case.stem)
def test_the_oracle_still_says_so(case: Path, tmp_path: Path) -> None:
    recorded = json.loads((compare.RECORDED / f"{case.stem}.json").read_text())
    assert compare.with_oracle(Path(os.environ["SHEPHERD_ORACLE"]), case, tmp_path) == recorded
