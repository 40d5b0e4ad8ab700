"""Declarations as data: the same is the same, another field is that field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shepherd.spec import load_spec

# A test of ours may import target code
from shepherd.remote import declaration  # isort: skip

NAMES = some.text("abcdefgh_.", min_size=1, max_size=6)
TEXTS = some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
SIZES = some.sampled_from(["64M", "67108864", 67108864, "1.5g", "300k", "65536KiB"])
TIMES = some.sampled_from(["1m", "60s", 60, "1m30s", "500ms", "0.5"])
FIELDS: dict[str, some.SearchStrategy[Any]] = {
    "command": some.lists(TEXTS, max_size=3),
    "env": some.dictionaries(NAMES, TEXTS | some.integers() | some.booleans(), max_size=3),
    "secrets": some.dictionaries(NAMES, TEXTS, max_size=2),
    "labels": some.dictionaries(NAMES, TEXTS, max_size=2),
    "volumes": some.lists(NAMES.map(lambda name: f"{name}:/{name}"), max_size=3, unique=True),
    "networks": some.lists(NAMES, max_size=2, unique=True),
    "restart": some.sampled_from([None, "no", "always"]),
    "user": some.sampled_from([None, "app", "1000:1000"]),
    "read_only": some.booleans(),
    "resources": some.fixed_dictionaries({}, optional={"memory": SIZES, "pids": some.integers(1, 99)}),
    "health": some.fixed_dictionaries({"tcp": some.just("80")}, optional={"interval": TIMES, "timeout": TIMES}),
}
OPTIONS = some.fixed_dictionaries({}, optional=FIELDS)


def declared(options: dict[str, Any], salt: str = "salt") -> dict[str, Any]:
    """As the module does it, and as it is read back from the label."""
    args = load_spec("container").normalise({"name": "shop", "image": "app:1", **options})
    made = declaration.declare(args, "sha256:1", salt)
    words = declaration.words(made, "shop", "shop")
    label = next(word for word in words if word.startswith(declaration.DECLARED))
    kept = declaration.kept({declaration.DECLARED: label.partition("=")[2]})
    assert kept == made
    return dict(kept)


@given(OPTIONS)
def test_what_is_declared_again_is_the_same(options: dict[str, Any]) -> None:
    again = dict(reversed(list(options.items())))
    assert declaration.differences(declared(options), declared(again)) == {}


@given(OPTIONS, some.sampled_from(sorted(FIELDS)), some.data())
def test_one_field_that_is_another_is_exactly_that_field(options: dict[str, Any], field: str, data: Any) -> None:
    first = declared(options)
    second = declared({**options, field: data.draw(FIELDS[field])})
    found = declaration.differences(first, second)
    assert {name.partition(".")[0] for name in found} <= {field}
    assert bool(found) == (first != second)


@given(some.text("abcdefghijkl", min_size=8), some.text("mnopqrstuvwx", min_size=8))
def test_no_secret_is_in_a_label_or_a_difference(one: str, other: str) -> None:
    first, second = (declared({"secrets": {"k": text}, "env": {"E": text}}) for text in (one, other))
    shown = json.dumps(declaration.differences(first, second))
    assert one not in shown
    assert other not in shown
    assert one not in json.dumps(first["secrets"])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"resources": {"memory": "lots"}}, "resources.memory"),
        ({"resources": {"memory": "-5"}}, "resources.memory"),
        ({"health": {"tcp": "80", "timeout": "1 day"}}, "health.timeout"),
        ({"env": {"A=B": "c"}}, "env"),
        ({"labels": {"shepherd.spec": "x"}}, "labels"),
        ({"networks": ["host", "front"]}, "networks"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], word: str) -> None:
    with pytest.raises(declaration.DeclarationError, match=word):
        declared(options)
