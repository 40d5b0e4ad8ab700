"""Words with quotes and variables, as tables; and that whatever comes is read or refused, never a traceback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.runtime.build import lines, words
from shepherd.runtime.build.problems import Wrong

VARIABLES = {"a": "foo.bar.baz", "empty": "", "two": "x y", "path": "/usr/local/bin", "star": "*"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$a", "foo.bar.baz"),
        ("${a}x", "foo.bar.bazx"),
        ("$a.x", "foo.bar.baz.x"),
        ("$unset", ""),
        ("${unset}", ""),
        ("${unset:-d}", "d"),
        ("${unset-d}", "d"),
        ("${empty:-d}", "d"),
        ("${empty-d}", ""),
        ("${a:-d}", "foo.bar.baz"),
        ("${a:+there}", "there"),
        ("${empty:+there}", ""),
        ("${empty+there}", "there"),
        ("${unset+there}", ""),
        ("${a:?no}", "foo.bar.baz"),
        ("${empty?no}", ""),
        ("${unset:-${unset:-${a}}}", "foo.bar.baz"),
        ("${unset:-$a}", "foo.bar.baz"),
        ("${unset:-'}'}", "}"),
        ('${unset:-"a b"}', "a b"),
        ("${a#*.}", "bar.baz"),
        ("${a##*.}", "baz"),
        ("${a%.*}", "foo.bar"),
        ("${a%%.*}", "foo"),
        ("${a#nothing}", "foo.bar.baz"),
        ("${path#/usr/}", "local/bin"),
        ("${path%/???}", "/usr/local"),
        ("${star#\\*}", ""),
        ("${a#\\*}", "foo.bar.baz"),
        ("${a/ba?/Q}", "foo.Q.baz"),
        ("${a//ba?/Q}", "foo.Q.Q"),
        ("${a//./}", "foobarbaz"),
        ("${path/\\/usr/}", "/local/bin"),
        ("\\$a", "$a"),
        ("'$a'", "$a"),
        ('"$a"', "foo.bar.baz"),
        ('"\\$a"', "$a"),
        ('"\\n"', "\\n"),
        ("a\\ b", "a b"),
        ("'a b'c\"d e\"", "a bcd e"),
        ("''", ""),
        ("$", "$"),
        ("a$-", "a$-"),
        ("$$a", "$foo.bar.baz"),
        ("${9}", ""),
        ("x$1y", "xy"),
        ("end\\", "end\\"),
    ],
)
def test_a_word(text, expected):
    assert words.expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    "text", ["${a", "${", "${}", "${a:}", "${a:x}", "${a!}", "'open", '"open', "${a:-'}", "${unset:?no}", "${unset?}"]
)
def test_what_is_no_word(text):
    with pytest.raises(Wrong):
        words.expand(text, VARIABLES)


def test_the_message_of_a_required_variable():
    with pytest.raises(Wrong, match="unset: give it"):
        words.expand("${unset:?give it}", VARIABLES)


def test_several_words():
    assert words.expand_words('80 $two "$two" $unset z', VARIABLES) == ["80", "x", "y", "x y", "z"]


def test_the_other_escape():
    assert words.expand("`$a \\$a", VARIABLES, "`") == "$a \\foo.bar.baz"


def test_a_document_keeps_quotes():
    assert words.expand_document("'$a' \"x\" \\$a \\n\n", VARIABLES) == "'foo.bar.baz' \"x\" $a \\n\n"


@given(st.text(alphabet="ab${}:-+?#%/*\\'\" .x", max_size=40))
def test_any_text_is_expanded_or_refused(text):
    for call in (words.expand, words.expand_words, words.expand_document):
        try:
            call(text, VARIABLES)
        except Wrong as wrong:
            assert wrong.message


@given(st.text(max_size=60))
def test_what_is_in_single_quotes_comes_out(text):
    quoted = "'" + text.replace("'", "") + "'"
    assert words.expand(quoted, {}) == quoted[1:-1]


@given(st.lists(st.text(alphabet="abc$\\'\"", min_size=1, max_size=8), max_size=6))
def test_words_that_are_escaped_come_out(texts):
    escaped = ["".join("\\" + char for char in text) for text in texts]
    assert words.expand_words(" ".join(escaped), {}) == texts
    assert lines.raw_words(" ".join(escaped), "\\") == escaped
