"""Variables in Compose files: a table of all forms, and what holds for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shepherd.compose.interpolation import WrongError, substitute

KNOWN = {"A": "one", "EMPTY": "", "OTHER": "two"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}", "one"),
        ("<$A-${A}>", "<one-one>"),
        ("$$A $${A}", "$A ${A}"),
        ("${NO:-x}", "x"),
        ("${NO-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${A:-x}", "one"),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NO+x}", ""),
        ("${A:?must}", "one"),
        ("${EMPTY?must}", ""),
        ("${NO:-${OTHER}}", "two"),
        ("${NO:-${NONE:-$A/${OTHER}}}", "one/two"),
        ("${NO:-a b:c-d?e}", "a b:c-d?e"),
        ("${A:-${NO:?not asked for}}", "one"),
        ("${A:+${OTHER}}", "two"),
        ("${NO:-}", ""),
        ("${NO:-$$}", "$"),
        ("}{", "}{"),
        ("costs 5$", "costs 5$"),
        ("$1 $(date) $-$A", "$1 $(date) $-one"),
        ("${NO:-$}", "$"),
    ],
)
def test_every_form(text: str, found: str) -> None:
    assert substitute(text, KNOWN) == (found, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NO:?say which}", "NO must be set: say which"),
        ("${NO?}", "NO must be set"),
        ("${EMPTY:?${A} is}", "EMPTY must be set: one is"),
        ("${A", "not closed"),
        ("${A:-${B}", "not closed"),
        ("${A!x}", "no operator"),
        ("${}", "no name"),
    ],
)
def test_what_cannot_be_meant(text: str, message: str) -> None:
    with pytest.raises(WrongError) as found:
        substitute(text, KNOWN)
    assert message in str(found.value)


def test_variables_that_nobody_set_are_named() -> None:
    assert substitute("$NO and ${NONE} and ${NO:-x} and ${A+$NEVER}", KNOWN) == (
        " and  and x and ",
        ["NO", "NONE", "NEVER"],
    )


@given(some.text())
def test_a_text_with_its_dollars_doubled_is_that_text(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {}) == (text, [])


@given(some.text(), some.text(some.characters(exclude_characters="$}")))
def test_values_are_never_interpolated_again(value: str, default: str) -> None:
    assert substitute("<${A-" + default + "}>", {"A": value})[0] == f"<{value}>"
    assert substitute("<${A-" + default + "}>", {})[0] == f"<{default}>"


@given(some.text(alphabet="${}AB:-?+ x", max_size=30))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        substitute(text, {"A": "1"})
    except WrongError as error:
        assert str(error)
