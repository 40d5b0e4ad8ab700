"""Tags select what they select with ansible-core. tags.json holds, for --tags and --skip-tags, the tasks that it lists
out of one task for each set of up to three special and ordinary tags.

`python tests/playbook/test_playbook_tags.py` records it anew.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

import pytest
from playbook_trees import oracle, play, run_oracle, tasks

from shepherd.playbook import selected
from shepherd.playbook.tags import matches, rendered

RECORDED = Path(__file__).parent / "tags.json"
WORDS = ("a", "b", "always", "never", "tagged", "untagged", "all")
SETS = [combination for size in range(4) for combination in itertools.combinations(WORDS, size)]


def ask(wanted: list[str], unwanted: list[str]) -> list[str]:
    listed = [{"name": f"set {' '.join(tags)}", "debug": None, "tags": list(tags)} for tags in SETS]
    arguments = ["-i", "localhost,", "play.yml", "--list-tasks"]
    arguments += ["--tags", ",".join(wanted)] if wanted else []
    arguments += ["--skip-tags", ",".join(unwanted)] if unwanted else []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "play.yml").write_text(json.dumps([{"hosts": "all", "tasks": listed}]))
        lines = run_oracle("ansible-playbook", arguments, Path(folder)).splitlines()
    return [line.strip().partition("\t")[0].removeprefix("set").strip() for line in lines if line.startswith("      ")]


@pytest.mark.parametrize(("wanted", "unwanted", "expected"), json.loads(RECORDED.read_text()))
def test_selects_what_ansible_selects(wanted: list[str], unwanted: list[str], expected: list[str]) -> None:
    assert [" ".join(tags) for tags in SETS if matches(tags, wanted or ["all"], unwanted)] == expected


@pytest.mark.oracle
@pytest.mark.skipif(oracle("ansible-playbook") is None, reason="ansible-core is not installed")
@pytest.mark.parametrize(("wanted", "unwanted", "expected"), json.loads(RECORDED.read_text())[:6])
def test_the_table_is_what_ansible_says(wanted: list[str], unwanted: list[str], expected: list[str]) -> None:
    assert ask(wanted, unwanted) == expected


TAGS = """
- hosts: all
  tags: p
  tasks:
  - debug:
    tags: "a, b,"
  - debug:
    tags: [c, "d,e", 5]
  - block:
    - debug:
      tags: f
    tags: "{{ more }}"
  - debug:
    tags: "g,{{ ['x', 'y'] | join(',') }}"
"""


def test_tags_are_gathered_from_play_and_block(tmp_path: Path) -> None:
    found = [sorted(task.settings.tags) for task in tasks(play(tmp_path, TAGS))]
    assert found == [
        ["a", "b", "p"],
        ["5", "c", "d,e", "p"],
        ["f", "p", "{{ more }}"],
        ["g", "p", "{{ ['x', 'y'] | join(',') }}"],
    ]


def test_templates_in_tags_are_rendered_where_it_is_known_how(tmp_path: Path) -> None:
    task = tasks(play(tmp_path, TAGS))[2]
    assert not selected(task, {"one"})
    assert selected(task, {"one"}, render={"{{ more }}": ["one", "two"]}.__getitem__)
    assert rendered({"{{ more }}", "f"}, lambda _: ["one", 2]) == {"f", "one", "2"}


if __name__ == "__main__":
    choices: list[tuple[list[str], list[str]]] = [([], [])]
    for word in (*WORDS, "z"):
        choices += [([word], []), ([], [word]), (["a"], [word]), ([word], ["b"]), ([word], ["all"]), (["all"], [word])]
    choices += [
        (["a", "never"], ["always"]),
        (["never"], ["tagged"]),
        (["tagged"], ["a", "never"]),
        ([], ["a", "untagged"]),
    ]
    lines = ",\n".join(json.dumps([wanted, unwanted, ask(wanted, unwanted)]) for wanted, unwanted in choices)
    RECORDED.write_text(f"[\n{lines}\n]\n")
