"""`shepherd doc`: lists, references and JSON from SPECs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shepherd.cli import main
from shepherd.spec import all_specs

if TYPE_CHECKING:
    from pathlib import Path

MODULE = '''
SPEC = {
    "summary": "Grow a tree",
    "description": "First.\\n\\nSecond paragraph.",
    "free_form": "kind",
    "options": {
        "kind": {"required": True, "help": "What grows."},
        "height": {"type": "int", "default": 3, "choices": [3, 4], "aliases": ["tall"], "help": "In metres."},
        "key": {"no_log": True, "help": "Opens the garden."},
        "leaves": {"type": "list", "elements": "dict", "help": "Each.", "options": {"colour": {"help": "Which."}}},
    },
    "constraints": {"required_if": [["height", 4, ["key"]]], "mutually_exclusive": [["key", "leaves"]]},
    "returns": {"rings": {"type": "int", "help": "How old.", "sample": 7}},
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "notes": ["Water it."],
    "examples": """
- name: An oak
  tree: oak
""",
}
'''
REFERENCE = """\
tree: Grow a tree

  First.

  Second paragraph.

  check mode: full; diff: none; since 0.1

OPTIONS (= must be given)
  = kind (str)
        What grows. It may stand behind the module's name as it is.
    height (int)
        In metres.
        one of: 3, 4
        default: 3
        also called: tall
    key (str)
        Opens the garden.
        never shown
    leaves (list of dict)
        Each.
        colour (str)
            Which.

RULES
  - Only one of: key, leaves.
  - With height: 4, key must be given.

RETURNS
  rings (int)
      How old.
      for example 7

NOTES
  - Water it.

EXAMPLES
  - name: An oak
    tree: oak
"""


@pytest.fixture
def tree(tmp_path: Path) -> str:
    (tmp_path / "tree.py").write_text(MODULE)
    return str(tmp_path)


def test_a_reference(tree: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doc", "-M", tree, "tree"]) == 0
    assert capsys.readouterr().out == REFERENCE


def test_as_json(tree: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doc", "--json", "-M", tree, "tree", "ansible.builtin.copy"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tree"]["options"]["leaves"]["options"]["colour"] == {"type": "str", "help": "Which."}
    assert said["tree"]["options"]["height"]["choices"] == [3, 4]
    assert "mode" in said["copy"]["options"]


def test_the_list(tree: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doc", "-M", tree]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["tree"] == "Grow a tree"
    assert set(lines) == {spec.name for spec in all_specs()} | {"tree"}


def test_every_module_has_a_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doc", *(spec.name for spec in all_specs())]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 160


def test_no_such_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doc", "cpoy"]) == 4
    assert "did you mean 'copy'?" in capsys.readouterr().err
