"""SPECs are found, read without importing the module, and hold together."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from shepherd.conversions import CONVERSIONS
from shepherd.errors import ParseError
from shepherd.options import Options
from shepherd.spec import GROUPS, Spec, all_specs, canonical, find, load_spec, names

if TYPE_CHECKING:
    from pathlib import Path

SPECS = list(all_specs())
KEYS = frozenset(
    (
        "absent",
        "accepts_any",
        "check",
        "constraints",
        "description",
        "diff",
        "examples",
        "free_form",
        "identity",
        "include",
    )
) | frozenset(
    ("notes", "options", "platforms", "renders", "returns", "runs", "runs_on", "runs_once", "since", "summary")
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("copy", "copy"),
        ("ansible.builtin.copy", "copy"),
        ("ansible.legacy.copy", "copy"),
        ("systemd", "systemd_service"),
        ("ansible.builtin.systemd", "systemd_service"),
        ("community.general.ufw", "community.general.ufw"),
    ],
)
def test_canonical_names(written: str, name: str) -> None:
    assert canonical(written) == name


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_spec_holds_together(spec: Spec) -> None:
    said = spec.document
    assert set(said) <= KEYS
    assert said["summary"]
    assert said["check"] in ("full", "partial", "none")
    assert said["diff"] in ("full", "partial", "none")
    assert isinstance(said.get("examples", ""), str)
    for example in yaml.safe_load(said.get("examples") or "[]") or []:
        assert isinstance(example, dict)
    known = set(spec.options.by_name)
    assert spec.free_form is None or spec.free_form in known
    assert set(said.get("identity", ())) <= known
    assert set(said.get("absent", ())) <= known
    check_options(spec.options)


def check_options(options: Options) -> None:
    known = set(options.by_name)
    assert known.isdisjoint(options.aliases)
    for option in options:
        assert option.type in CONVERSIONS, option.name
        assert option.elements is None or option.elements in CONVERSIONS, option.name
        assert option.help, option.name
        assert not (option.required and option.default is not None), option.name
        if option.default is not None and option.choices:
            chosen = option.default if isinstance(option.default, list) else [option.default]
            assert set(chosen) <= set(option.choices), option.name
        if option.options:
            check_options(option.options)
    rules = options.constraints
    for rule in ("mutually_exclusive", "required_together", "required_one_of"):
        for group in rules.get(rule, ()):
            assert set(group) <= known
    for name, _, needed, *_ in rules.get("required_if", ()):
        assert {name, *needed} <= known
    for name, needed in rules.get("required_by", {}).items():
        assert {name, *([needed] if isinstance(needed, str) else needed)} <= known


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_examples_are_tasks_that_load(spec: Spec, tmp_path: Path) -> None:
    from playbook_trees import loader

    from shepherd.playbook import load

    examples = yaml.safe_load(spec.document.get("examples") or "[]") or []
    if spec.name.startswith("import_") or any("hosts" in example for example in examples):
        pytest.skip("names files that are not there, or is a play")
    text = re.sub(r"^", "    ", spec.document.get("examples", ""), flags=re.MULTILINE)
    (tmp_path / "play.yml").write_text(f"- hosts: all\n  tasks:\n{text}\n")
    load(str(tmp_path / "play.yml"), loader=loader())


def test_groups_are_options() -> None:
    for group in GROUPS.values():
        check_options(Options.read(group, {}))


def test_the_users_own_module_comes_first(tmp_path: Path) -> None:
    (tmp_path / "ping.py").write_text('SPEC = {"summary": "another", "options": {}}\n')
    assert find("ping", [str(tmp_path)]) == str(tmp_path / "ping.py")
    assert load_spec("ping", [str(tmp_path)]).document["summary"] == "another"
    assert load_spec("ping").document["summary"] != "another"
    assert "ping" in names([str(tmp_path)])


SOURCES = [
    ('SPEC = {"summary": "s", "options": {"a": {}}}', {"a"}),
    ('X = 1\nSPEC = {\n    "summary": """\n}\n""",\n    "options": {"a": {}},\n}\n', {"a"}),
    ('SPEC: dict = {\n  "summary": "s",\n  "options": {"b": {}},\n}\nraise SystemExit("never run")\n', {"b"}),
    ('SPEC = {\n    "summary": "s", "options": {"c": {}}}  # said at once\n\nD = {\n}\n', {"c"}),
]


@pytest.mark.parametrize(("source", "options"), SOURCES)
def test_a_literal_is_read_however_it_is_laid_out(source: str, options: set[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    assert set(load_spec("mine", [str(tmp_path)]).options.by_name) == options


WRONG = [
    ("def run(task): pass", "has no SPEC"),
    ("SPEC = {'a': f()}\n", "must be a literal"),
    ("SPEC = {'a': (\n", "not Python"),
    ("SPEC = {'options': {'a': {'tpye': 'str'}}}\n", "SPEC of module 'mine' is wrong"),
    ("SPEC = {'options': 5}\n", "SPEC of module 'mine' is wrong"),
    ("SPEC = {'include': ['nothing']}\n", "SPEC of module 'mine' is wrong"),
]


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_what_is_no_spec_is_said(source: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(ParseError, match=message) as caught:
        load_spec("mine", [str(tmp_path)])
    assert caught.value.origin is not None
    assert os.path.basename(caught.value.origin.file) == "mine.py"


def test_an_unknown_module_names_the_nearest() -> None:
    with pytest.raises(ParseError, match="couldn't resolve module/action 'pnig'") as caught:
        load_spec("pnig")
    assert caught.value.hint == "did you mean 'ping'?"


def test_groups_join_a_specs_own_options() -> None:
    spec = Spec("x", "x.py", {"include": ["file_attributes", "backup"], "options": {"mode": {"type": "str"}}})
    assert {"mode", "owner", "backup"} <= set(spec.options.by_name)
    assert spec.options.by_name["mode"].type == "str"
