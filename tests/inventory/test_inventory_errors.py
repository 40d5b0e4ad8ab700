"""What cannot be understood is said once, with its place; no text whatever makes a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shepherd.cli import main
from shepherd.errors import ParseError, ShepherdError
from shepherd.inventory import Inventory, executable, ini, load, source

TABLE = yaml.safe_load((Path(__file__).parent / "errors.yml").read_text())


@pytest.mark.parametrize("case", TABLE, ids=lambda case: f"{case['file']}: {case['text']!r}")
def test_message_place_and_hint(case, tmp_path):
    path = tmp_path / case["file"]
    path.write_text(case["text"])
    with pytest.raises(ParseError) as raised:
        load([str(path)], cwd="/")
    assert case["message"] in raised.value.message
    assert str(raised.value.origin) == f"{path}:{case['place']}".rstrip(":")
    assert case.get("hint", "") in (raised.value.hint or "")


def test_missing_file_says_how_to_name_a_host(tmp_path):
    with pytest.raises(ParseError, match="there is no inventory") as raised:
        load(["web1"], cwd=str(tmp_path))
    assert raised.value.hint is not None
    assert "-i web1," in raised.value.hint


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "hosts").write_bytes(b"h x=\xe9\n")
    with pytest.raises(ParseError, match="not UTF-8 text"):
        load(["hosts"], cwd=str(tmp_path))


PROGRAMS = {
    "echo problem >&2; exit 3": "ended with status 3: problem",
    "exit 1": "ended with status 1 and said nothing",
    "kill -9 $$": "died of signal 9",
    "echo hello": "did not print JSON",
    "": "did not print JSON",
    "echo '[1]'": "must be a mapping, not '[1]'",
    """echo '{"a": 1}'""": "group 'a' must be a mapping",
    """echo '{"a": {"hosts": {"h": {}}}}'""": "the hosts of group 'a' must be a list",
    """echo '{"a": {"hosts": [1]}}'""": "a host of group 'a' must be text",
    """echo '{"a": {"vars": [1]}}'""": "the variables of group 'a' must be a mapping",
    """echo '{"a": {"children": ["a"]}, "_meta": {"hostvars": {}}}'""": "cannot be its own child",
    """echo '{"a": ["h"], "_meta": {"hostvars": {"h": 1}}}'""": "the variables of host 'h' must be a mapping",
    """echo '{"a": ["h"], "_meta": []}'""": "_meta must be a mapping",
    """[ $1 = --list ] && echo '{"a": ["h"]}'""": "--host h ended with status 1",
}


@pytest.mark.parametrize("script", PROGRAMS)
def test_programs_that_fail(script, tmp_path):
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n" + script + "\n")
    path.chmod(0o755)
    with pytest.raises(ParseError) as raised:
        load([str(path)], cwd="/")
    assert PROGRAMS[script] in raised.value.message
    assert str(path) in raised.value.render()


def test_program_without_its_interpreter(tmp_path):
    path = tmp_path / "program"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    with pytest.raises(ParseError, match="cannot run the inventory"):
        load([str(path)], cwd="/")


def test_what_a_program_says_beside_its_answer_is_a_warning(tmp_path):
    path = tmp_path / "program"
    path.write_text('#!/bin/sh\necho careful >&2\necho \'{"a": [], "_meta": {"hostvars": {}}}\'\n')
    path.chmod(0o755)
    assert f"{path}: careful" in load([str(path)], cwd="/").warnings


def test_in_a_directory_what_is_no_inventory_is_warned_of(tmp_path):
    (tmp_path / "README").write_text("about these hosts\n")
    (tmp_path / "hosts").write_text("h\n")
    inventory = load([str(tmp_path)], cwd="/")
    assert list(inventory.hosts) == ["h"]
    (warning,) = inventory.warnings
    assert f"{tmp_path}/README:1:7" in warning


def test_a_directory_of_nothing_else_is_an_error(tmp_path):
    (tmp_path / "README").write_text("about these hosts\n")
    with pytest.raises(ParseError, match="expected name=value"):
        load([str(tmp_path)], cwd="/")


def test_leftovers_in_a_directory_are_passed_over(tmp_path):
    for ending in source.IGNORED:
        (tmp_path / f"hosts{ending}").write_text("[not, an inventory\n")
    (tmp_path / ".hosts.swp").write_text("[not, an inventory\n")
    (tmp_path / "hosts").write_text("h\n")
    inventory = load([str(tmp_path)], cwd="/")
    assert (list(inventory.hosts), inventory.warnings) == (["h"], [])


def test_the_command_shows_place_line_and_hint(tmp_path, capsys):
    (tmp_path / "hosts.ini").write_text("[web]\nweb1 port 22\n")
    assert main(["inventory", "-i", str(tmp_path / "hosts.ini"), "--graph"]) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"at {tmp_path}/hosts.ini:2:6" in shown.err
    assert "2 | web1 port 22\n    |      ^" in shown.err


WRONG_LINES = {
    "--graph nope": "there is no group 'nope'",
    "--graph we": "did you mean 'web'?",
    "--host w": "there is no host 'w'",
    "--host web": "there is no host 'web'",
    "--list web": "a group goes with --graph",
    "--list --toml": "TOML can be read but not printed",
    "--list -l nope": "no host matches the limit 'nope'",
    "--list -l @nofile": "cannot read the limit file nofile",
    "--list -e @nofile": "nofile",
    "--list --output /no/such/directory/file": "cannot write",
}


@pytest.mark.parametrize("line", WRONG_LINES)
def test_wrong_command_lines(line, tmp_path, monkeypatch, capsys):
    (tmp_path / "hosts").write_text("[web]\nh\n")
    monkeypatch.chdir(tmp_path)
    assert main(["inventory", "-i", "hosts", *line.split()]) in (1, 4, 5)
    shown = capsys.readouterr()
    assert (shown.out, WRONG_LINES[line] in shown.err) == ("", True), shown.err


FRAGMENTS = st.one_of(
    st.sampled_from("[]:=#;\n \"'\\{},-&*!|>%@`?~."),
    st.sampled_from(
        ["h", "web", "all", "ungrouped", "vars", "children", "hosts", ": ", "plugin", "_meta", "x=1", "::1"]
    ),
    st.sampled_from(["[1:3]", "[a:c]", "01", "[web]", "[web:vars]", "[web:children]", "ansible_group_priority=1"]),
    st.text(max_size=4),
)
TEXTS = st.lists(FRAGMENTS, max_size=25).map("".join)


@given(TEXTS)
def test_any_text_as_ini(text):
    try:
        ini.parse(text, "file", Inventory())
    except ShepherdError as error:
        assert error.origin is not None


@given(TEXTS, st.sampled_from(["hosts", "h.yml", "h.json", "h.toml"]))
def test_any_text_as_a_file(tmp_path_factory, text, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(text, encoding="utf-8", newline="")
    try:
        inventory = load([str(path)], cwd="/")
    except ShepherdError as error:
        assert error.render()
    else:
        for host in inventory.hosts.values():
            inventory.host_layers(host)


KEYS = st.sampled_from(["a", "b", "all", "hosts", "vars", "children", "_meta", "hostvars", "ansible_group_priority"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b", "h[1:2]", "x:"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_answer_of_a_program(value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executable, "_run", lambda path, inventory, *arguments: json.dumps(value))
        try:
            executable.parse("program", Inventory())
        except ShepherdError as error:
            assert "program" in error.render()
