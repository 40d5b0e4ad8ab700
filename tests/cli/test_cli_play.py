"""`shepherd play` as a whole: what its options do, said by what happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from commands import Said, shepherd

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = "ansible_connection=local ansible_python_interpreter=/usr/bin/python3"
HOSTS = f"h1 {LOCAL}\nh2 {LOCAL}\n"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
  - name: one
    debug: {var: colour | default('none')}
    tags: [first]
  - name: two
    command: echo two
    tags: [second]
  - name: three
    fail: {msg: three}
    when: broken | default(false)
    notify: never
  handlers:
  - name: never
    debug:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hosts").write_text(HOSTS)
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    return tmp_path


def _play(folder: Path, *flags: str) -> Said:
    return shepherd(["play", "play.yml", "-i", "hosts", *flags], folder)


def _events(said: Said, kind: str = "HostResult") -> list[dict[str, Any]]:
    return [event for event in map(json.loads, said.out.splitlines()) if event["event"] == kind]


def _tasks(said: Said) -> list[str]:
    return [event["name"] for event in _events(said, "TaskStart")]


def test_exit_codes(folder: Path) -> None:
    assert _play(folder).code == 0
    assert _play(folder, "-e", "broken=true").code == 2
    assert _play(folder, "-l", "h1", "-e", "ansible_connection=ssh ansible_port=1 ansible_host=127.0.0.1").code == 4


def test_an_error_in_a_template_ends_the_loop(folder: Path) -> None:
    (folder / "play.yml").write_text(
        "- hosts: h1\n  gather_facts: false\n  tasks:\n"
        "  - command: touch {{ item }}{{ nothing if item == 'b' else '' }}\n    loop: [a, b, c]\n"
    )
    said = _play(folder)
    assert said.code == 2
    assert "(item=b)" in said.out
    assert "'nothing' is undefined" in said.out
    assert ((folder / "a").exists(), (folder / "c").exists()) == (True, False)


def test_an_include_that_failed_in_part_and_is_ignored_counts_as_ok(folder: Path) -> None:
    """As ansible-core counts: its answer once, whatever of it could be read."""
    (folder / "there.yml").write_text("- debug: {msg: not read}\n")
    (folder / "play.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
        '    - {include_tasks: "{{ vars[item] }}.yml", loop: [known, unknown], vars: {known: there}, '
        "ignore_errors: true}\n"
        "    - debug: {msg: end}\n"
    )
    (recap,) = _events(_play(folder, "--output", "json"), "Recap")
    counts = recap["hosts"]["localhost"]
    assert (counts["ok"], counts["ignored"], counts["failed"]) == (2, 1, 0)


def test_a_question_without_a_terminal_is_null_and_said(folder: Path) -> None:
    (folder / "play.yml").write_text(
        "- hosts: h1\n  gather_facts: false\n  vars_prompt: [{name: drink}]\n"
        "  tasks:\n  - assert: {that: drink is none}\n"
    )
    said = _play(folder)
    assert said.code == 0, said.both
    assert said.err.count("no terminal to ask at") == 1
    assert "-e 'drink=" in said.err


def test_nothing_is_never_hashed(folder: Path) -> None:
    (folder / "play.yml").write_text("- hosts: h1\n  vars_prompt: [{name: secret, encrypt: sha512_crypt}]\n")
    said = _play(folder)
    assert said.code == 1
    assert "'secret' has no default to hash" in said.err


NAMES = """- hosts: h1
  gather_facts: false
  tasks:
  - debug: {msg: "{{ 'x' | uper }}"}
    when: false
  - debug: {msg: fine}
    when: "'x' is mach('x') or true"
    tags: run
"""


@pytest.mark.parametrize("words", [["--skip-tags", "run"], ["--syntax-check"]])
def test_unknown_filters_and_tests_are_named_before_a_task_meets_them(folder: Path, words: list[str]) -> None:
    (folder / "play.yml").write_text(NAMES)
    said = _play(folder, *words)
    assert said.code == 0, said.both
    for name, hint, place in (("filter 'uper'", "'upper'", "4:18"), ("test 'mach'", "'match'", "7:11")):
        assert said.err.count(f"unknown {name}") == 1, said.err
        assert f"did you mean {hint}?" in said.err
        assert f"play.yml:{place}\n" in said.err


def test_recap_has_the_layout_that_programs_read(folder: Path) -> None:
    assert _play(folder).out.endswith(
        f"PLAY RECAP {'*' * 69}\n"
        "h1                         : ok=2    changed=1    unreachable=0    failed=0    "
        "skipped=1    rescued=0    ignored=0   \n"
        "h2                         : ok=2    changed=1    unreachable=0    failed=0    "
        "skipped=1    rescued=0    ignored=0   \n\n"
    )


EXTRA = {
    "colour=red": "red",
    "colour='dark red' other=1": "dark red",
    '{"colour": "red"}': "red",
    "{colour: [1, 2]}": [1, 2],
    "@vars.yml": "from a file",
    "@vars.json": "from JSON",
}


@pytest.mark.parametrize("written", EXTRA)
def test_extra_vars(written: str, folder: Path) -> None:
    (folder / "vars.yml").write_text("---\ncolour: from a file\n")
    (folder / "vars.json").write_text('{"colour": "from JSON"}')
    said = _play(folder, "--output", "json", "-l", "h1", "-t", "first", "-e", "colour=overridden", "-e", written)
    assert EXTRA[written] in _events(said)[0]["result"].values()


def test_tags_and_start(folder: Path) -> None:
    assert _tasks(_play(folder, "--output", "json", "-t", "first,second")) == ["one", "two"]
    assert _tasks(_play(folder, "--output", "json", "-t", "first", "--tags", "second")) == ["one", "two"]
    assert _tasks(_play(folder, "--output", "json", "--skip-tags", "first")) == ["two", "three"]
    assert _tasks(_play(folder, "--output", "json", "--start-at-task", "two")) == ["two", "three"]
    assert _tasks(_play(folder, "--output", "json", "--start-at-task", "t*")) == ["two", "three"]


@pytest.mark.parametrize("task", ["- include_tasks: more.yml", "- {name: 'is {{ inventory_hostname }}', debug: }"])
def test_a_start_that_never_comes_is_said(folder: Path, task: str) -> None:
    (folder / "more.yml").write_text("- {name: in there, debug: }\n")
    (folder / "play.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n  {task}\n")
    said = _play(folder, "--start-at-task", "in there")
    assert said.code == 1
    assert 'No matching task "in there" found' in said.err
    assert "TASK" not in said.out


def test_a_start_in_a_later_play_leaves_all_of_the_first_out(folder: Path) -> None:
    (folder / "play.yml").write_text("- hosts: all\n  tasks:\n  - debug:\n" + PLAYBOOK)
    assert _tasks(_play(folder, "--output", "json", "--start-at-task", "two")) == ["two", "three"]


def test_results_have_the_rendered_name_of_their_task(folder: Path) -> None:
    task = "- {name: 'on {{ inventory_hostname }}', command: 'true', loop: [1]}"
    (folder / "play.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n  {task}\n")
    said = _play(folder, "--output", "json")
    events = [event for kind in ("ItemResult", "HostResult") for event in _events(said, kind)]
    assert [event["task"] for event in events] == ["on h1"] * 4


def test_unknown_tags_of_a_play_that_includes_are_not_warned_of(folder: Path) -> None:
    (folder / "more.yml").write_text("- debug:\n  tags: [hidden]\n")
    (folder / "play.yml").write_text("- hosts: all\n  gather_facts: false\n  tasks:\n  - include_tasks: more.yml\n")
    assert _play(folder, "-t", "hidden").err == ""


def test_without_an_inventory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHEPHERD_INVENTORY", raising=False)
    monkeypatch.delenv("ANSIBLE_INVENTORY", raising=False)
    said = shepherd(["play", "play.yml"], folder)
    assert said.code == 0
    assert "[WARNING]: no inventory was named" in said.err
    assert "SHEPHERD_INVENTORY" in said.err
    assert "no hosts matched" in said.out
    monkeypatch.setenv("SHEPHERD_INVENTORY", "hosts")
    said = shepherd(["play", "play.yml"], folder)
    assert (said.err, "h2" in said.out) == ("", True)


def test_a_check_of_the_syntax_lists_nothing(folder: Path) -> None:
    assert _play(folder, "--syntax-check", "--list-hosts", "--list-tasks", "--list-tags").out.split() == [
        "playbook:",
        "play.yml",
    ]


def test_listings_check_everything_and_run_nothing(folder: Path) -> None:
    for flag in ("--list-hosts", "--list-tasks", "--list-tags", "--syntax-check"):
        assert _play(folder, flag).code == 0
    (folder / "play.yml").write_text(PLAYBOOK.replace("broken |", "broken ||"))
    for flag in ("--list-hosts", "--list-tasks", "--list-tags", "--syntax-check"):
        said = _play(folder, flag)
        assert (said.code, said.out) == (4, "")


def test_warnings_are_said_once_on_standard_error(folder: Path) -> None:
    (folder / "play.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n  - debug:\n    when: '{{ true }}'\n    loop: [1, 2, 3]\n"
    )
    said = _play(folder)
    assert said.code == 0
    assert said.err.count("conditions should not contain {{ }}") == 1
    assert "WARNING" not in said.out
    events = _events(_play(folder, "--output", "json"), "Message")
    assert [event["level"] for event in events] == ["warning"]


SECRETS = """
- hosts: h1
  gather_facts: false
  vars: {password: s3cret}
  tasks:
  - command: echo {{ password }}{{ item }}
    loop: [1, 2]
    no_log: "{{ item == 1 }}"
    when: whole is not defined
  - debug: {msg: x}
    loop: "{{ password }}"
    no_log: true
    ignore_errors: true
  - command: test {{ item }} = other
    loop: ["{{ password }}"]
    no_log: true
    ignore_errors: true
  - copy: {content: "{{ password }}", dest: "{{ playbook_dir }}/secret"}
    no_log: true
  - user: {name: nobody, password: "{{ password }}"}
    check_mode: true
  - debug: {msg: "{{ password }}"}
    no_log: true
    register: told
    until: told is failed
    retries: 1
    delay: 0
    ignore_errors: true
"""


@pytest.mark.parametrize("flags", [[], ["-vvv", "--diff"], ["-vvv", "--diff", "--output", "json"]], ids=" ".join)
def test_no_log(flags: list[str], folder: Path) -> None:
    (folder / "play.yml").write_text(SECRETS)
    said = _play(folder, *flags, "-e", "whole=1")
    assert said.code == 0, said.both
    assert "s3cret" not in said.both
    assert "the output has been hidden due to the fact that 'no_log: true' was specified" in said.both
    text = _play(folder, *flags).out
    assert "s3cret1" not in text  # of a loop some of whose items are secret
