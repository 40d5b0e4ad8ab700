"""--list-tasks, --list-tags, --list-hosts and --syntax-check print what ansible-playbook prints, kept in listing.txt.

`python tests/playbook/test_playbook_listing.py` records it anew.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

import pytest
from playbook_trees import loader, oracle, run_oracle, write

from shepherd import inventory
from shepherd.playbook import load
from shepherd.playbook.listing import lines

RECORDED = Path(__file__).parent / "listing.txt"
FILES = {
    "play.yml": """
- name: first {{ word | default('none') }}
  hosts: all
  tags: a
  vars: {word: w, several: [s1, s2], commas: "c1,c2"}
  roles: [{role: web, tags: "y, z", x: 1}, {role: web}]
  pre_tasks:
  - debug: msg=pre
  tasks:
  - name: "{{ word }} in a name"
    ansible.builtin.debug:
    tags: "{{ word }}"
  - debug:
    tags: ["{{ several }}", "{{ commas }}", "d,e"]
  - meta: noop
  - name: a block
    block:
    - debug:
    rescue:
    - {name: rescue, debug: , tags: r}
    always:
    - {name: always, debug: , tags: l}
    tags: b
  - import_role: {name: web}
    tags: imported
  - include_role: {name: web}
  - {debug: , tags: [always, k]}
  - {debug: , tags: never}
  - {debug: , tags: [never, n]}
  - include_tasks: more.yml
  - import_tasks: more.yml
  - local_action: command echo
  - action: command echo
  post_tasks:
  - command: echo hi
  handlers:
  - {name: h, debug: , tags: h}
- hosts: [one, "!two"]
  tasks: []
- hosts: one,two
  tasks: [{debug: , tags: [q]}, ping: ]
- import_playbook: other.yml
""",
    "other.yml": "- {name: other, hosts: two, tasks: [ping: ]}\n",
    "more.yml": "- debug: msg=more\n- {name: named, debug: }\n",
    "roles/web/tasks/main.yml": "- {name: install, command: echo}\n- debug: msg=x\n- import_tasks: sub.yml\n",
    "roles/web/tasks/sub.yml": "- {name: sub, ping: , tags: t}\n",
    "roles/web/meta/main.yml": "dependencies: [{role: base, tags: dep}]\n",
    "roles/base/tasks/main.yml": "- debug: msg=base\n- {name: ours, ping: }\n",
}
COMMANDS = (
    "--syntax-check",
    "--list-tasks",
    "--list-tags",
    "--list-hosts",
    "--list-tasks --list-tags --list-hosts",
    "--list-tasks --tags y",
    "--list-tasks --tags s2,never",
    "--list-tasks --tags untagged",
    "--list-tasks --tags w --skip-tags always",
    "--list-tags --tags b",
    "--list-tags --skip-tags dep",
    "--list-tags --tags nowhere",
    "--list-hosts --limit one",
)
HOSTS = re.compile(r"(?<=hosts \(2\):\n)(.*)\n(.*)")  # a set too
PLAY_TAGS = re.compile(r"(?<=^  play #)(.*TAGS: \[)([^]]*)", re.MULTILINE)  # a set, in no order


def recorded() -> list[tuple[str, str]]:
    sections = ("\n" + RECORDED.read_text()).split("\n$ ")[1:]
    return [(command, output.strip("\n")) for command, _, output in (section.partition("\n") for section in sections)]


def words_after(flag: str, words: list[str]) -> tuple[str, ...]:
    return tuple(words[words.index(flag) + 1].split(",")) if flag in words else ()


def ours(command: str, folder: Path) -> str:
    write(folder, FILES)
    words = shlex.split(command)
    known = inventory.load(["one,two"], cwd=str(folder))
    playbook = load(str(folder / "play.yml"), loader=loader())._replace(path="play.yml")
    found = lines(
        playbook,
        known,
        hosts="--list-hosts" in words,
        tasks="--list-tasks" in words,
        tags="--list-tags" in words,
        limit=next(iter(words_after("--limit", words)), None),
        selection=(words_after("--tags", words) or ("all",), words_after("--skip-tags", words)),
    )
    return "\n".join(found).strip("\n")


def theirs(command: str, folder: Path) -> str:
    write(folder, FILES)
    said = run_oracle("ansible-playbook", ["-i", "one,two", *shlex.split(command), "play.yml"], folder)
    said = HOSTS.sub(lambda match: "\n".join(sorted(match.groups())), said)
    return PLAY_TAGS.sub(lambda match: match[1] + ",".join(sorted(match[2].split(","))), said).strip("\n")


@pytest.mark.parametrize(("command", "expected"), recorded())
def test_prints_what_ansible_prints(command: str, expected: str, tmp_path: Path) -> None:
    assert ours(command, tmp_path) == expected


@pytest.mark.oracle
@pytest.mark.skipif(oracle("ansible-playbook") is None, reason="ansible-core is not installed")
@pytest.mark.parametrize("command", COMMANDS[1:5])
def test_the_record_is_what_ansible_prints(command: str, tmp_path: Path) -> None:
    assert theirs(command, tmp_path) == dict(recorded())[command]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        RECORDED.write_text("\n".join(f"$ {command}\n{theirs(command, Path(folder))}\n" for command in COMMANDS))
