"""Values of options become what they become with ansible-core, or are refused in its words: values.json."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import option_values
import pytest
from playbook_trees import oracle

from shepherd.options import OptionError, Options, OptionWarning, Place
from shepherd.origin import Mapping, Origin, Text

OPTIONS = Options.read(option_values.SPEC, option_values.RULES)
NAMES_OF_BOOLEANS = re.compile(r"(Valid booleans include: ).*")  # a set, in no order


def answer(given: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptionWarning)
        try:
            found = OPTIONS.values(given, Place("probe", given))
        except OptionError as error:
            return error.message
    return {name: found[name] for name in sorted({OPTIONS.aliases.get(name, name) for name in given})}


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, str) and isinstance(theirs, str):
        return NAMES_OF_BOOLEANS.sub(r"\1", ours) == NAMES_OF_BOOLEANS.sub(r"\1", theirs)
    return json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)


@pytest.mark.parametrize(("given", "expected"), json.loads(option_values.RECORDED.read_text()), ids=str)
def test_is_what_ansible_makes_of_it(given: dict[str, Any], expected: Any) -> None:
    assert same(answer(given), expected), answer(given)


@pytest.mark.oracle
@pytest.mark.skipif(oracle("ansible-playbook") is None, reason="ansible-core is not installed")
def test_the_table_is_what_ansible_says() -> None:
    recorded = json.loads(option_values.RECORDED.read_text())
    for (given, expected), now in zip(recorded, option_values.ask([given for given, _ in recorded]), strict=True):
        assert same(now, expected), given


def test_every_option_is_there_with_its_default() -> None:
    found = OPTIONS.values({"s": "x"}, Place("probe", {}))
    assert set(found) == set(option_values.SPEC)
    assert (found["s"], found["dd"], found["di"], found["b"]) == ("x", "dv", 7, None)


def test_defaults_are_not_shared() -> None:
    options = Options.read({"l": {"type": "list", "default": ["a"]}}, {})
    options.values({}, Place("m", {}))["l"].append("b")
    assert options.values({}, Place("m", {}))["l"] == ["a"]


def test_two_names_of_one_option_are_warned_of() -> None:
    with pytest.warns(OptionWarning, match="Both option al and its alias al2 are set"):
        OPTIONS.values({"al": 1, "al2": 2}, Place("probe", {}))


def test_names_with_an_underscore_pass() -> None:
    assert OPTIONS.values({"_private": [1]}, Place("probe", {}))["_private"] == [1]


def test_secrets() -> None:
    options = Options.read(
        {"password": {"no_log": True}, "user": {}, "login": {"type": "dict", "options": {"key": {"no_log": True}}}}, {}
    )
    args = {"password": "pw1", "user": "me", "login": {"key": "pw2"}}
    assert set(options.secrets(options.values(args, Place("m", args)))) == {"pw1", "pw2"}


def test_points_at_the_option() -> None:
    args = Mapping()
    args.origin = Origin("play.yml", 3, 5)
    args[Text("zz", Origin("play.yml", 4, 7))] = 1
    with pytest.raises(OptionError) as caught:
        OPTIONS.values(args, Place("probe", args))
    assert caught.value.origin == Origin("play.yml", 4, 7)


UNRENDERED: list[tuple[dict[str, Any], str | None]] = [
    ({"i": "{{ x }}", "b": "{{ y }}", "c": "{{ z }}"}, None),
    ({"li": [1, "{{ x }}"]}, None),
    ({"e1": "{{ x }}", "e2": "{{ y }}"}, None),  # either may turn out as omit
    ({"e1": "{{ x }}", "e2": 1}, None),
    ({"e1": "a{{ x }}", "e2": 1}, "parameters are mutually exclusive: e1|e2"),
    ({"t1": "{{ x }}"}, None),
    ({"t1": 1, "t2": "{{ x }}"}, None),
    ({"t1": 1}, "parameters are required together: t1, t2"),
    ({"state": "y", "e1": "{{ x }}", "t1": "{{ y }}", "t2": 1}, None),
    ({"state": "{{ x }}"}, None),
    ({"by1": 1, "s": "{{ x }}", "i": "{{ x }}"}, None),
    ({"sub": {"x": "{{ x }}"}}, None),
    ({"sub": "{{ x }}"}, None),
    ({"sub": {"y": "{{ x }}"}}, "missing required arguments: x found in sub"),
    ({"subl": [{"x": "{{ x }}", "z": 1}]}, "Unsupported parameters for (probe) module: subl.z."),
    ({"subl": ["{{ x }}", {"x": 1}]}, None),
    ({"i": Text("{{ x }}", Origin("f", 1, 1), literal=True)}, "argument 'i' is of type <class 'str'>"),
]


@pytest.mark.parametrize(("given", "message"), UNRENDERED, ids=str)
def test_before_rendering_only_what_is_certain_is_refused(given: dict[str, Any], message: str | None) -> None:
    if message is None:
        OPTIONS.values(given, Place("probe", given), rendered=False)
    else:
        with pytest.raises(OptionError, match=re.escape(message)):
            OPTIONS.values(given, Place("probe", given), rendered=False)
