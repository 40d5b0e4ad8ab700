"""Every recorded case gives what ansible-core gives, or what the case says that Shepherd does instead, and why."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from shepherd.documents import load
from shepherd.errors import ShepherdError
from shepherd.templating import Layer, Scope, TemplateOptions, Templates
from tests.templating import oracle
from tests.templating.conftest import magic

if TYPE_CHECKING:
    from pathlib import Path

NAMES = sorted(path.stem for path in (oracle.HERE / "cases").glob("*.yml"))


def answers(name: str, tree: Path) -> list[dict[str, Any]]:
    path = oracle.HERE / "cases" / f"{name}.yml"
    templates = Templates()
    layers = [magic(tree), Layer({"here": str(tree)}), Layer(load(path)["vars"] or {})]
    found = []
    for case in oracle.cases(path)[1]:
        scope = Scope(layers, templates)
        try:
            if "when" in case and not templates.condition(case["when"], scope):
                found.append({"skipped": True})
                continue
            value = templates.render(case.get("template", "ran"), scope)
            found.append({"gives": oracle.unplaced(json.loads(json.dumps(value, default=str)), tree)})
        except ShepherdError:
            found.append({"fails": True})
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NAMES)
def test_cases(name: str, tree: Path) -> None:
    recorded = json.loads((oracle.RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    cases = oracle.cases(oracle.HERE / "cases" / f"{name}.yml")[1]
    assert [case.get("template") for case in cases] == [row.get("template") for row in recorded], "record again"
    wrong = []
    for case, row, answer in zip(cases, recorded, answers(name, tree), strict=True):
        if "ours" in case:
            expected: dict[str, Any] = {"fails": True} if case["ours"] is None else {"gives": case["ours"]}
        else:
            expected = (
                {"fails": True} if "fails" in row else {key: row[key] for key in row if key in ("gives", "skipped")}
            )
        if answer != expected:
            wrong.append(f"{case}\n     expected {expected or row}\n     got      {answer}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files(tree: Path) -> None:
    recorded = json.loads((oracle.RECORDED / "files.json").read_text(encoding="utf-8"))
    templates = Templates()
    layers = [magic(tree), Layer(yaml.safe_load((oracle.HERE / "files.yml").read_text(encoding="utf-8"))["vars"])]
    wrong = []
    for name, row in recorded.items():
        options = TemplateOptions(name=name, destination=str(tree / "out" / name))
        try:
            text = templates.render_file(str(tree / "templates" / name), Scope(layers, templates), options=options)
            answer: dict[str, Any] = {"gives": oracle.unplaced(text, tree)}
        except ShepherdError as error:
            answer = {"fails": True}
            assert error.origin is not None, name
        if answer != row:
            wrong.append(f"{name}\n     expected {row}\n     got      {answer}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.oracle
@pytest.mark.skipif(oracle.playbook_program() is None, reason="no ansible-core: SHEPHERD_ORACLE names its bin folder")
def test_the_record_is_what_the_oracle_says(tree: Path) -> None:
    """A sample of all cases, in one play."""
    for name in ("filters", "values"):
        variables, cases = oracle.cases(oracle.HERE / "cases" / f"{name}.yml")
        recorded = json.loads((oracle.RECORDED / f"{name}.json").read_text(encoding="utf-8"))
        sample = [index for index in range(0, len(cases), 5) if "__omit" not in str(recorded[index])]
        said = oracle.ask(variables, [cases[index] for index in sample], tree)
        for index, answer in zip(sample, said, strict=True):
            assert answer.keys() <= recorded[index].keys(), cases[index]
            if "gives" in answer:
                assert answer["gives"] == recorded[index]["gives"], cases[index]


def test_warnings_are_off_for_ordinary_templates(tree: Path) -> None:
    """Rendering says nothing of its own: no SyntaxWarning from texts that look like Python, no deprecations."""
    templates = Templates()
    scope = Scope([magic(tree), Layer({"path": r"['C:\dir\q']"})], templates)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert templates.render("{{ path }}", scope) == ["C:\\dir\\q"]
        assert templates.render("{{ path | regex_replace('\\d', '') }}", scope) == ["C:\\dir\\q"]
