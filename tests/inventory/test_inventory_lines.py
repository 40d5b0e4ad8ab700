"""The parts of INI lines: words, host ranges and typed values, each against a plain model."""

from __future__ import annotations

import ast
import shlex
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shepherd.inventory.literals import literal
from shepherd.inventory.names import expand
from shepherd.inventory.words import split


@given(st.text(st.sampled_from("ab='\"\\# \t\r.é\xa0"), max_size=20))
@example("a\\")
@example("''")
@example('a\'b\'"c\\"\\d"#x')
def test_words_are_those_of_a_shell(line):
    try:
        expected = shlex.split(line, comments=True)
    except ValueError:
        with pytest.raises(ValueError, match=r"never closed|nothing behind"):
            split(line)
    else:
        assert split(line) == expected


@given(
    st.one_of(
        st.text(st.sampled_from("0123456789.-+_xbojeE"), max_size=8),
        st.text(st.sampled_from("[](){}',\"1aTrue: \\b#"), max_size=12),
        st.text(string.ascii_letters + "._/:@~-= ", max_size=10),
        st.sampled_from(
            ["True", "False", "None", "true", "...", "1j", "b'x'", "set()", "{1}", "1_0", "a" * 5000, "9" * 5000]
        ),
        st.text(max_size=6),
    )
)
def test_values_are_literals_or_text(text):
    try:
        expected = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        expected = text
    if isinstance(expected, bytes):
        expected = expected.decode(errors="replace")
    if expected is ... or isinstance(expected, complex):
        expected = text
    found = literal(text)
    assert (type(found), repr(found)) == (type(expected), repr(expected))


LETTERS = string.ascii_letters


@st.composite
def ranges(draw):
    """A range as written, and the texts that it stands for."""
    step = draw(st.integers(1, 4))
    behind = draw(st.sampled_from(["", f":{step}"])) if step == 1 else f":{step}"
    if draw(st.booleans()):
        first, last = sorted((draw(st.integers(0, 51)), draw(st.integers(0, 51))))
        return f"[{LETTERS[first]}:{LETTERS[last]}{behind}]", [LETTERS[n] for n in range(first, last + 1, step)]
    first, last = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    width = draw(st.sampled_from([0, 3]))
    written = f"[{str(first).zfill(width)}:{str(last).zfill(width)}{behind}]"
    return written, [str(n).zfill(width) for n in range(first, last + 1, step)]


@given(
    st.lists(st.tuples(st.sampled_from(["", "web", "a-b."]), ranges()), min_size=1, max_size=3),
    st.sampled_from(["", ":22"]),
)
def test_ranges_multiply_out_leftmost_slowest(parts, port):
    expected = ["web"]
    for between, (_, chosen) in parts:
        expected = [name + between + one for name in expected for one in chosen]
    names, found = expand("web" + "".join(between + written for between, (written, _) in parts) + port)
    assert (list(names), found) == (expected, 22 if port else None)


@given(st.text(st.sampled_from("[]:019aZ-. é"), max_size=12))
def test_any_name_expands_or_says_why(written):
    try:
        names, _ = expand(written)
    except ValueError as error:
        assert str(error)
    else:
        assert all(isinstance(name, str) for name in names)
